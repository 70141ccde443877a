/** Runs the first Adit's way of packaging, in a Python environment of its own that is made once. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { cacheFolder } from '../../servers/cache-folder.js';

export interface PredecessorRun {
  /** From the first request to the end of the upload, without the start of Python. */
  seconds: number;
  documents: number;
  /** Of the archive. */
  bytes: number;
  peak_kilobytes: number;
}

const HERE = import.meta.dirname;
const run = promisify(execFile);

/** @param environment as package_docset.py says */
export async function runPredecessor(environment: Record<string, string>): Promise<PredecessorRun> {
  return JSON.parse(await runScript('package_docset.py', environment)) as PredecessorRun;
}

/**
 * The upload of a file by Python's client of S3.
 * @param environment as upload_file.py says
 * @returns milliseconds
 */
export async function uploadWithBoto3(environment: Record<string, string>): Promise<number> {
  return Number(await runScript('upload_file.py', environment)) * 1000;
}

async function runScript(name: string, environment: Record<string, string>): Promise<string> {
  const python = await makeEnvironment();
  const { stdout } = await run(python, [join(HERE, name)], {
    env: { PATH: process.env['PATH'], HOME: process.env['HOME'], ...environment },
  });
  return stdout;
}

/** Its interpreter, with what requirements.txt names. */
async function makeEnvironment(): Promise<string> {
  const requirements = join(HERE, 'requirements.txt');
  const version = createHash('sha256')
    .update(await readFile(requirements))
    .digest('hex')
    .slice(0, 12);
  const folder = join(cacheFolder(), `predecessor-${version}`);
  const python = join(folder, 'bin/python');
  const isDone = join(folder, 'bin/normalizer');
  if (existsSync(isDone)) return python;
  // An environment cannot be moved: its programs name their place.
  await rm(folder, { recursive: true, force: true });
  await run('python3', ['-m', 'venv', folder]);
  await run(python, ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '-r', requirements]);
  return python;
}
