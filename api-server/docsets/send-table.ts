/** Answers the rows of a docset: as JSON page by page, as NDJSON or CSV all of them, or so many as were asked for. */
import { stringify } from 'csv-stringify/sync';
import type { Request } from 'express';
import type { Knex } from 'knex';
import { nextLink, readPage } from '../http/paging.js';
import { queryParam, type Answer } from '../http/route.js';
import type { Docset } from './docsets.js';
import { knownAnswer, validatorsOf } from './entity-tag.js';
import type { Table } from './tables.js';

export const NDJSON = 'application/x-ndjson';
const CSV = 'text/csv';
const ROWS_ON_A_PAGE = 1_000;
const ROWS_AT_A_TIME = 500;

interface TableRequest<Row> {
  table: Table<Row>;
  docset: Docset;
  /** The docset as clients see it. */
  head: object;
  publicUrl: string;
}

export async function sendTable<Row>(knex: Knex, request: Request, asked: TableRequest<Row>): Promise<Answer> {
  const type = request.accepts(['application/json', NDJSON, CSV]) || 'application/json';
  const validators = validatorsOf(asked.docset, [
    asked.table.columns.join(),
    type,
    request.originalUrl,
    asked.publicUrl,
  ]);
  const known = knownAnswer(request, validators);
  if (known !== undefined) return known;
  if (type !== 'application/json' && queryParam(request, 'limit') === undefined) {
    const { after } = readPage(request, ROWS_AT_A_TIME);
    return { headers: { ...validators, 'Content-Type': mediaType(type) }, stream: allRows(knex, type, after, asked) };
  }
  return sendPage(knex, request, type, validators, asked);
}

async function sendPage<Row>(
  knex: Knex,
  request: Request,
  type: string,
  validators: Readonly<Record<string, string>>,
  asked: TableRequest<Row>,
): Promise<Answer> {
  const { table, docset, head } = asked;
  const { limit, after } = readPage(request, ROWS_ON_A_PAGE);
  // One more than asked for tells whether there is a next page.
  const found = await table.page(knex, docset.id, { limit: limit + 1, after });
  const page = found.slice(0, limit);
  const last = page.at(-1);
  const next = nextLink(request, found.length > limit && last !== undefined ? table.keyOf(last) : undefined);
  const headers = { ...validators, ...next };
  if (type !== 'application/json') {
    const bytes = headOf(type, asked) + textOf(type, page, asked);
    return { headers: { ...headers, 'Content-Type': mediaType(type) }, bytes };
  }
  return { headers, json: { docset: head, [table.name]: page.map((row) => table.entry(row)) } };
}

async function* allRows<Row>(
  knex: Knex,
  type: string,
  start: string | undefined,
  asked: TableRequest<Row>,
): AsyncGenerator<string> {
  const { table, docset } = asked;
  let after = start;
  let rows = 0;
  let head = headOf(type, asked);
  for (;;) {
    const page = await table.page(knex, docset.id, { limit: ROWS_AT_A_TIME, after });
    yield head + textOf(type, page, asked);
    head = '';
    rows += page.length;
    const last = page.at(-1);
    if (last === undefined || page.length < ROWS_AT_A_TIME) break;
    after = table.keyOf(last);
  }
  // Deleted while it was read: a broken connection tells the client that the rest is missing.
  if (start === undefined && rows !== table.size(docset)) {
    throw new Error(`docset ${docset.id} was deleted while it was read`);
  }
}

const mediaType = (type: string): string => (type === CSV ? `${CSV}; charset=utf-8; header=present` : type);

const headOf = <Row>(type: string, { table }: TableRequest<Row>): string => (type === CSV ? csv([table.columns]) : '');

function textOf<Row>(type: string, rows: Row[], { table, publicUrl }: TableRequest<Row>): string {
  if (type === CSV) return csv(rows.map((row) => table.cells(row, publicUrl)));
  return rows.map((row) => `${JSON.stringify(table.entry(row))}\n`).join('');
}

/**
 * RFC 4180, section 2: lines end in CRLF. A lone carriage return in a cell ends a line for some readers, as in the catalogue of
 * an archive. Cells are as they are, also where a spreadsheet would take them for a formula: a ref must stay that ref.
 */
function csv(records: (string | null)[][]): string {
  if (records.length === 0) return '';
  const cells = records.map((record) => record.map((cell) => cell?.replace(/\r\n?/g, '\n') ?? ''));
  return stringify(cells, { record_delimiter: 'windows' });
}
