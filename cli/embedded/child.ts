/** A child process of the launcher: one of our own commands, started again when it dies. */
import { fork, type ChildProcess } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { PACKAGER_ENVIRONMENT, PACKAGER_OPTIONS } from '../packager-process.js';

export interface Child {
  /** Process id of the present incarnation. */
  readonly pid: number | undefined;
  stop(): Promise<void>;
}

export interface ChildOptions {
  /** Path of the `adit` command. */
  main: string;
  command: 'api-server' | 'packager';
  /** All of its environment. */
  env: Record<string, string>;
  /** Told when it died and is started again. */
  onRestart: (command: string, how: string) => void;
  /** Told when it is back. */
  onReady: (command: string) => void;
  /** Aborted: one that is not ready yet is ended, and none is started again. */
  signal: AbortSignal;
}

const FIRST_PAUSE = 500;
const LONGEST_PAUSE = 30_000;
/** One that has run for so long has recovered. */
const STABLE = 60_000;
/** Longer than an api-server takes to stop. */
const STOP_GRACE = 15_000;

/**
 * Starts it and resolves when it is ready. Dies later: started again, after a pause that grows.
 * @throws {Error} it ended before it was ready for the first time, as it does when `signal` is aborted by then
 */
export async function startChild(options: ChildOptions): Promise<Child> {
  const stopped = new AbortController();
  const stopping = AbortSignal.any([stopped.signal, options.signal]);
  let child = await launch(options);
  const watch = async (): Promise<void> => {
    let pause = FIRST_PAUSE;
    for (;;) {
      const since = Date.now();
      const how = await ended(child);
      if (stopping.aborted) return;
      options.onRestart(options.command, how);
      if (Date.now() - since > STABLE) pause = FIRST_PAUSE;
      await sleep(pause, undefined, { signal: stopping }).catch(() => undefined);
      stopping.throwIfAborted();
      pause = Math.min(LONGEST_PAUSE, pause * 2);
      child = spawn(options);
      child.once('message', () => options.onReady(options.command));
    }
  };
  const watching = watch().catch(() => undefined);
  return {
    get pid() {
      return child.pid;
    },
    async stop() {
      stopped.abort();
      await end(child);
      await watching;
    },
  };
}

function spawn({ main, command, env }: ChildOptions): ChildProcess {
  // The IPC channel tells it when we are gone, however we went. It shares neither our arguments nor our loader.
  const isPackager = command === 'packager';
  return fork(main, [command], {
    env: isPackager ? { ...PACKAGER_ENVIRONMENT, ...env } : env,
    execArgv: isPackager ? [...PACKAGER_OPTIONS] : [],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
}

/** Resolves when it is ready. @throws {Error} it ended before, or `signal` was aborted, and it has ended as well */
async function launch(options: ChildOptions): Promise<ChildProcess> {
  const { command, signal } = options;
  signal.throwIfAborted();
  const child = spawn(options);
  const endEarly = (): void => void end(child);
  signal.addEventListener('abort', endEarly);
  try {
    await new Promise<void>((resolve, reject) => {
      child.once('message', () => resolve());
      void ended(child).then((how) => reject(new Error(`the ${command} ${how} before it was ready`)));
    });
  } finally {
    signal.removeEventListener('abort', endEarly);
  }
  if (signal.aborted) {
    // It became ready all the same, and ends now.
    await ended(child);
    signal.throwIfAborted();
  }
  return child;
}

/** Resolves when it has ended: by itself, or killed where that takes too long. */
async function end(child: ChildProcess): Promise<void> {
  if (hasEnded(child)) return;
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_GRACE);
  await ended(child);
  clearTimeout(timer);
}

const hasEnded = (child: ChildProcess): boolean => child.exitCode !== null || child.signalCode !== null;

function ended(child: ChildProcess): Promise<string> {
  const describe = (): string =>
    child.signalCode === null ? `ended with exit code ${String(child.exitCode)}` : `was ended by ${child.signalCode}`;
  if (hasEnded(child)) return Promise.resolve(describe());
  return new Promise((resolve) => child.once('exit', () => resolve(describe())));
}
