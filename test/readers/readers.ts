/** The programs with which people open archives: `describeReaders(['unzip'], 'an archive', () => { … })`. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, test } from '@jest/globals';
import { findProgram } from '../servers/server-process.js';

const CACHE =
  process.env['ADIT_SERVERS'] ?? join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'adit-servers');

/** Each reads the whole zip, contents too where it can, and fails where it finds anything wrong. */
const COMMANDS = {
  unzip: (file: string) => ['-tqq', file],
  '7z': (file: string) => ['t', '-bso0', '-bsp0', file],
  bsdtar: (file: string) => ['-xOf', file],
  python3: (file: string) => ['-c', TEST_WITH_PYTHON, file],
  jar: (file: string) => ['tf', file],
};

/** `python3 -m zipfile -t` names the first bad entry and exits with 0. */
const TEST_WITH_PYTHON = `
import sys, zipfile
bad = zipfile.ZipFile(sys.argv[1]).testzip()
sys.exit(bad and f'{bad} is bad')
`;

export type ReaderName = keyof typeof COMMANDS;
export const READERS = Object.keys(COMMANDS) as ReaderName[];
/** Validates bags; not a reader of zips. */
export type Tool = ReaderName | 'bagit';

function findTool(tool: Tool): string | undefined {
  if (tool !== 'bagit') return findProgram(tool);
  const own = join(CACHE, 'bagit/bin/bagit.py');
  return existsSync(own) ? own : findProgram('bagit.py');
}

/** Rejects with what the reader said where it does not accept the file. */
export async function readWith(reader: ReaderName, file: string): Promise<void> {
  await run(reader, COMMANDS[reader](file));
}

/** @returns what it printed */
export async function run(tool: Tool, args: string[], cwd?: string): Promise<string> {
  const program = findTool(tool);
  if (program === undefined) throw new Error(remedyOf([tool]));
  const options = { maxBuffer: 1 << 28, encoding: 'buffer', env: { ...process.env, LC_ALL: 'C.UTF-8' } } as const;
  const { stdout } = await promisify(execFile)(program, args, cwd === undefined ? options : { ...options, cwd });
  return stdout.toString();
}

const remedyOf = (missing: readonly Tool[]): string =>
  `needs ${missing.join(' and ')}: test/servers/install.sh readers`;

export const missingTools = (tools: readonly Tool[]): Tool[] => tools.filter((tool) => findTool(tool) === undefined);

/** Where a tool is missing the suite is skipped, and its title says how to install it; with `CI=true` it fails instead. */
export function describeReaders(tools: readonly Tool[], title: string, body: () => void): void {
  const missing = missingTools(tools);
  if (missing.length === 0) {
    describe(title, body);
    return;
  }
  if (process.env['CI'] === 'true') {
    describe(title, () => {
      test(`has its readers (${remedyOf(missing)})`, () => {
        throw new Error(remedyOf(missing));
      });
    });
    return;
  }
  describe.skip(`${title} (${remedyOf(missing)})`, body);
}
