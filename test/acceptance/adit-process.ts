/** One of our own commands in a process of its own, as an operator runs it. It ends with the test run, however that ends. */
import { fork } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { PACKAGER_ENVIRONMENT, PACKAGER_OPTIONS } from '../../cli/packager-process.js';

const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

/**
 * Where the tests themselves run so: the embedded database is compiled once, quickly, and not again so that it runs faster, which what
 * lives for seconds does not earn back. Benches, and what `adit start` starts, run as for operators.
 */
const SHORT_LIVED = process.execArgv.filter((option) => option === '--liftoff-only');

export interface AditEnd {
  code: number | null;
  signal: NodeJS.Signals | null;
}

export interface AditProcess {
  readonly pid: number;
  /** Resolves when it says that it is ready, or has ended. */
  readonly ready: Promise<void>;
  readonly ended: Promise<AditEnd>;
  running(): boolean;
  /** SIGTERM, and waits for the end. */
  stop(): Promise<void>;
  /** SIGKILL, and waits for the end. */
  kill(): Promise<void>;
  /** Ctrl-C: SIGINT to it and, where it has a group of its own, to all that it has started. */
  interrupt(): void;
  /** SIGSTOP: it keeps its sockets and does nothing. */
  freeze(): void;
  /** SIGCONT. */
  thaw(): void;
  /** All it has printed. */
  log(): string;
}

/** Starts a command; resolves when it says that it is ready. @throws {Error} it ended before, with what it printed */
export async function startAdit(command: string, env: Record<string, string>, logFile: string): Promise<AditProcess> {
  const started = launchAdit(command, env, logFile);
  await started.ready;
  if (!started.running()) throw new Error(`adit ${command} ended before it was ready:\n${started.log()}`);
  return started;
}

/** Starts a command and does not wait for it. @param ownGroup as a shell at a terminal starts it */
export function launchAdit(
  command: string,
  env: Record<string, string>,
  logFile: string,
  { ownGroup = false } = {},
): AditProcess {
  const output = openSync(logFile, 'a');
  // As the launcher and the image start it.
  const isPackager = command === 'packager';
  const child = fork(MAIN, [command], {
    env: {
      PATH: process.env['PATH'],
      HOME: process.env['HOME'],
      NODE_ENV: 'production',
      ...(isPackager ? PACKAGER_ENVIRONMENT : {}),
      ...env,
    },
    execArgv: isPackager ? [...PACKAGER_OPTIONS] : [...SHORT_LIVED],
    // The child notices the end of this channel, and stops.
    stdio: ['ignore', output, output, 'ipc'],
    detached: ownGroup,
  });
  closeSync(output);
  const log = (): string => readFileSync(logFile, 'utf8');
  let isRunning = true;
  const ended = new Promise<AditEnd>((resolve) =>
    child.once('exit', (code, signal) => {
      isRunning = false;
      resolve({ code, signal });
    }),
  );
  const ready = new Promise<void>((resolve) => child.once('message', () => resolve()));
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    child.kill(signal);
    await ended;
  };
  return {
    pid: child.pid ?? -1,
    ready: Promise.race([ready, ended.then(() => undefined)]),
    ended,
    running: () => isRunning,
    stop: () => end('SIGTERM'),
    kill: () => end('SIGKILL'),
    interrupt() {
      if (child.pid !== undefined) process.kill(ownGroup ? -child.pid : child.pid, 'SIGINT');
    },
    freeze: () => void child.kill('SIGSTOP'),
    thaw: () => void child.kill('SIGCONT'),
    log,
  };
}
