/** The `adit` command as a miner runs it, in a process of its own whose output goes nowhere near a terminal. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';

export const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

export interface Ended {
  code: number | null;
  stdout: string;
  stderr: string;
}

export interface Running {
  readonly pid: number;
  /** Ctrl-C. */
  interrupt(): void;
  ended: Promise<Ended>;
}

export interface MinerAt {
  url: string;
  key: string;
  /** Where it runs. */
  cwd: string;
}

/** @param around a program and its arguments that runs it, such as `prlimit` */
export function start({ url, key, cwd }: MinerAt, args: readonly string[], around: readonly string[] = []): Running {
  const [command = '', ...rest] = [...around, process.execPath, MAIN, ...args];
  const env = { PATH: process.env['PATH'], HOME: process.env['HOME'], ADIT_URL: url, ADIT_KEY: key };
  const child = spawn(command, rest, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
  const output = Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  return {
    pid: child.pid ?? -1,
    interrupt: () => void child.kill('SIGINT'),
    ended: output.then(([stdout, stderr]) => ({ code: child.exitCode, stdout, stderr })),
  };
}

/** Runs it to its end. */
export const adit = (at: MinerAt, ...args: string[]): Promise<Ended> => start(at, args).ended;
