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
}

const FIRST_PAUSE = 500;
const LONGEST_PAUSE = 30_000;
/** One that has run for so long has recovered. */
const STABLE = 60_000;
/** Longer than an api-server takes to stop. */
const STOP_GRACE = 15_000;

/**
 * Starts it and resolves when it is ready. Dies later: started again, after a pause that grows.
 * @throws {Error} it ended before it was ready for the first time
 */
export async function startChild(options: ChildOptions): Promise<Child> {
  const stopping = new AbortController();
  let child = await launch(options);
  const watch = async (): Promise<void> => {
    let pause = FIRST_PAUSE;
    for (;;) {
      const since = Date.now();
      const how = await ended(child);
      if (stopping.signal.aborted) return;
      options.onRestart(options.command, how);
      if (Date.now() - since > STABLE) pause = FIRST_PAUSE;
      await sleep(pause, undefined, { signal: stopping.signal }).catch(() => undefined);
      stopping.signal.throwIfAborted();
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
      stopping.abort();
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), STOP_GRACE);
      await watching;
      clearTimeout(timer);
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

async function launch(options: ChildOptions): Promise<ChildProcess> {
  const child = spawn(options);
  await new Promise<void>((resolve, reject) => {
    child.once('message', () => resolve());
    void ended(child).then((how) => reject(new Error(`the ${options.command} ${how} before it was ready`)));
  });
  return child;
}

function ended(child: ChildProcess): Promise<string> {
  const describe = (): string =>
    child.signalCode === null ? `ended with exit code ${String(child.exitCode)}` : `was ended by ${child.signalCode}`;
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve(describe());
  return new Promise((resolve) => child.once('exit', () => resolve(describe())));
}
