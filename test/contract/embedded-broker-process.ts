/** The embedded broker in a process of its own, to be killed and frozen. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import type { EmbeddedBrokerOptions } from '../../queue-config/embedded-broker/index.js';

export interface BrokerProcess {
  url: string;
  webSocketUrl: string | undefined;
  pid: number;
  /** `kill -9`; resolves when it is gone. */
  kill(): Promise<void>;
  /** SIGTERM: the broker stops as it should. */
  stop(): Promise<void>;
}

const REPOSITORY = fileURLToPath(new URL('../..', import.meta.url));

/**
 * Translates queue-config as it is now, so that no test runs on a stale build.
 * @returns the folder, below node_modules so that its imports resolve; to be removed by `removeBuild`
 */
export function buildBroker(): string {
  const cache = join(REPOSITORY, 'node_modules', '.cache');
  mkdirSync(cache, { recursive: true });
  const build = mkdtempSync(join(cache, 'adit-broker-'));
  const source = join(REPOSITORY, 'queue-config');
  const options = { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022, verbatimModuleSyntax: true };
  for (const name of readdirSync(source, { recursive: true, encoding: 'utf8' })) {
    if (!name.endsWith('.ts')) continue;
    const target = join(build, name.replace(/\.ts$/, '.js'));
    mkdirSync(dirname(target), { recursive: true });
    const { outputText } = ts.transpileModule(readFileSync(join(source, name), 'utf8'), { compilerOptions: options });
    writeFileSync(target, outputText);
  }
  cpSync(fileURLToPath(new URL('./embedded-broker-child.mjs', import.meta.url)), join(build, 'child.mjs'));
  writeFileSync(join(build, 'package.json'), '{"type":"module"}');
  return build;
}

export function removeBuild(build: string): void {
  rmSync(build, { recursive: true, force: true });
}

/** Starts the broker; resolves when it listens, rejects with what it said when it does not. */
export async function startBrokerProcess(
  build: string,
  options: Omit<EmbeddedBrokerOptions, 'log'>,
): Promise<BrokerProcess> {
  // The child ends when its standard input does, so that it never outlives the test run.
  const child = spawn(process.execPath, [join(build, 'child.mjs'), JSON.stringify(options)], {
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const exited = once(child, 'exit');
  let complaint = '';
  child.stderr.on('data', (chunk: Buffer) => (complaint += chunk.toString()));
  const ready = createInterface({ input: child.stdout });
  const line = await Promise.race([once(ready, 'line').then(([text]) => text as string), exited.then(() => undefined)]);
  ready.close();
  if (line === undefined) throw new Error(`the broker did not start: ${complaint}`);
  const { url, webSocketUrl } = JSON.parse(line) as { url: string; webSocketUrl?: string };
  return {
    url,
    webSocketUrl,
    pid: child.pid ?? 0,
    kill: () => end(child, exited, 'SIGKILL'),
    stop: () => end(child, exited, 'SIGTERM'),
  };
}

async function end(child: ChildProcess, exited: Promise<unknown>, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) child.kill(signal);
  await exited;
}
