/** What the commands of miners have in common: where the server is, the key, and answers for people or for programs. */
import Table from 'cli-table3';
import { createMinerClient, type MinerClient, type MinerClientOptions } from './miner/miner-client.js';

const URL_BY_DEFAULT = 'http://localhost:3000';

export interface MinerOptions {
  url?: string;
  key?: string;
  json?: boolean;
}

/** @throws {Error} there is no key, or the address is none */
export function clientOf({ url, key }: MinerOptions, options: MinerClientOptions = {}): MinerClient {
  const given = key ?? process.env['ADIT_KEY'];
  if (!given) throw new Error('A key is needed in ADIT_KEY; the people who run the service give you one.');
  const address = url ?? (process.env['ADIT_URL'] || URL_BY_DEFAULT);
  if (!/^https?:\/\//.test(address) || !URL.canParse(address)) {
    throw new Error(`${address} is not the address of a server: it begins with https:// or http://.`);
  }
  return createMinerClient(address, given, options);
}

/** A query as it was typed: a text, or a tree in JSON. @throws {Error} it looks like a tree and is not JSON */
export function readQuery(text: string): string | Record<string, unknown> {
  if (!text.trimStart().startsWith('{')) return text;
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch (error) {
    throw new Error('The query begins like a tree, and is not JSON.', { cause: error });
  }
}

export function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** One line, whatever the value. */
export const printJson = (value: unknown): void => print(JSON.stringify(value));

export type Cell = string | number | boolean | null | undefined;

/** Columns under their names; to a pipe with tabs between them, for `cut` and `awk`. */
export function printTable(head: readonly string[], rows: readonly (readonly Cell[])[]): void {
  const cells = rows.map((row) => row.map(cellOf));
  if (!process.stdout.isTTY) {
    for (const row of cells) print(row.join('\t'));
    return;
  }
  const table = new Table({
    head: [...head],
    chars: NO_LINES,
    style: { head: [], 'padding-left': 0, 'padding-right': 2 },
  });
  table.push(...cells);
  print(table.toString());
}

const NO_LINES = Object.fromEntries(
  ['top', 'bottom', 'left', 'right', 'mid', 'middle']
    .flatMap((side) => [side, `${side}-mid`, `${side}-left`, `${side}-right`])
    .map((name) => [name, '']),
);

const LONGEST_CELL = 60;

function cellOf(value: Cell): string {
  const text = harmless(value === null || value === undefined ? '-' : String(value));
  return process.stdout.isTTY && text.length > LONGEST_CELL ? `${text.slice(0, LONGEST_CELL - 1)}…` : text;
}

/** What comes from documents may not move the cursor, nor tell the terminal anything else. */
export const harmless = (text: string): string => text.replaceAll(/\p{Cc}+/gu, ' ');
