/** A server as a child process that dies with the test run, whatever ends that. */
import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { accessSync, constants } from 'node:fs';

export interface ServerProcess {
  readonly pid: number;
  /** False once the process has ended. */
  running(): boolean;
  /** What it printed, the last `characters` of it. */
  log(characters?: number): string;
  /** Asks it to end, and ends it with SIGKILL when it has not within `deadlineMs`. */
  stop(deadlineMs?: number): Promise<void>;
  /** SIGKILL; resolves when it is gone. */
  kill(): Promise<void>;
  /** SIGSTOP: it keeps its sockets and answers nothing. */
  freeze(): void;
  /** SIGCONT. */
  thaw(): void;
}

export interface ServerProcessOptions {
  command: string;
  args: string[];
  /** Standard output and error go to the end of this file. */
  logFile: string;
  env?: Record<string, string>;
  cwd?: string;
  /** Run as this user; needs root. */
  user?: string;
  /** What asks it to end; SIGTERM by default. */
  stopSignal?: NodeJS.Signals;
}

/**
 * Starts a server through util-linux's `setpriv --pdeathsig`: the kernel kills it when this process ends, even by SIGKILL.
 * `setpriv` executes the server in its own place, so the pid is the server's.
 */
export function startServerProcess(options: ServerProcessOptions): ServerProcess {
  const { command, args, logFile, cwd, user, stopSignal = 'SIGTERM' } = options;
  const identity = user === undefined ? [] : [`--reuid=${user}`, `--regid=${user}`, '--clear-groups'];
  const log = openSync(logFile, 'a');
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', ...identity, '--', command, ...args], {
    stdio: ['ignore', log, log],
    env: { PATH: process.env['PATH'], HOME: process.env['HOME'], LANG: 'C.UTF-8', ...options.env },
    cwd,
  });
  closeSync(log);
  let ended = false;
  const exited = new Promise<void>((resolve) => {
    const end = (): void => {
      ended = true;
      resolve();
    };
    child.once('exit', end);
    child.once('error', end);
  });
  const kill = async (): Promise<void> => {
    child.kill('SIGKILL');
    await exited;
  };
  return {
    pid: child.pid ?? -1,
    running: () => !ended,
    log: (characters = 4000) => readFileSync(logFile, 'utf8').slice(-characters),
    kill,
    async stop(deadlineMs = 10_000) {
      child.kill(stopSignal);
      // A frozen process takes no SIGTERM before it runs again.
      child.kill('SIGCONT');
      const deadline = setTimeout(() => child.kill('SIGKILL'), deadlineMs);
      await exited;
      clearTimeout(deadline);
    },
    freeze: () => void child.kill('SIGSTOP'),
    thaw: () => void child.kill('SIGCONT'),
  };
}

/** The path of a program, looked up on PATH and in the folders that only root's PATH has; undefined where it is not installed. */
export function findProgram(name: string): string | undefined {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin'];
  return folders.map((folder) => join(folder, name)).find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
