/** The programs with which people open archives. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { findProgram } from '../servers/server-process.js';

const CACHE =
  process.env['ADIT_SERVERS'] ?? join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'adit-servers');

/** Each reads the whole zip, contents too where it can, and fails where it finds anything wrong. */
const COMMANDS = {
  unzip: (file: string) => ['-tqq', file],
  '7z': (file: string) => ['t', '-bso0', '-bsp0', file],
  bsdtar: (file: string) => ['-cf', '/dev/null', `@${file}`],
  python3: (file: string) => ['-c', TEST_WITH_PYTHON, file],
  jar: (file: string) => ['tf', file],
};

/** Those that print one name a line, and nothing of their own making in it. */
const LISTS: Partial<Record<ReaderName, (file: string) => string[]>> = {
  unzip: (file) => ['-Z1', file],
  bsdtar: (file) => ['-tf', file],
  python3: (file) => ['-c', LIST_WITH_PYTHON, file],
  jar: (file) => ['tf', file],
};

/** `python3 -m zipfile -t` names the first bad entry and exits with 0. */
const TEST_WITH_PYTHON = `
import sys, zipfile
bad = zipfile.ZipFile(sys.argv[1]).testzip()
sys.exit(bad and f'{bad} is bad')
`;

const LIST_WITH_PYTHON = `
import sys, zipfile
sys.stdout.reconfigure(encoding='utf-8')
for name in zipfile.ZipFile(sys.argv[1]).namelist(): print(name)
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
  await run(reader, COMMANDS[reader](file)).catch((error: unknown) => acceptEmpty(reader, error));
}

/** The names as the reader finds them; undefined where it cannot list them alone. */
export async function listWith(reader: ReaderName, file: string): Promise<string[] | undefined> {
  const args = LISTS[reader]?.(file);
  if (args === undefined) return undefined;
  const printed = await run(reader, args).catch((error: unknown) => acceptEmpty(reader, error));
  return printed.split('\n').filter((line) => line !== '');
}

/** unzip: "1: one or more warning errors were encountered, but processing completed successfully anyway". */
function acceptEmpty(reader: ReaderName, error: unknown): string {
  const { code, stdout, stderr } = error as { code?: unknown; stdout?: unknown; stderr?: unknown };
  const isEmpty = /zipfile is empty|Empty zipfile/i.test(`${String(stdout)}${String(stderr)}`);
  if (reader === 'unzip' && code === 1 && isEmpty) return '';
  throw error;
}

/** @returns what it printed */
export async function run(tool: Tool, args: string[], cwd?: string): Promise<string> {
  const program = findTool(tool);
  if (program === undefined) throw new Error(remedyOf([tool]));
  const options = { maxBuffer: 1 << 28, encoding: 'buffer', env: { ...process.env, LC_ALL: 'C.UTF-8' } } as const;
  const { stdout } = await promisify(execFile)(program, args, cwd === undefined ? options : { ...options, cwd });
  return stdout.toString();
}

export const remedyOf = (missing: readonly Tool[]): string =>
  `needs ${missing.join(' and ')}: test/servers/install.sh readers`;

export const missingTools = (tools: readonly Tool[]): Tool[] => tools.filter((tool) => findTool(tool) === undefined);
