/** Lists of members as they are uploaded: NDJSON or CSV, read as they come. */
import type { Request } from 'express';
import { CsvError, parse } from 'csv-parse';
import { pipeline } from 'node:stream';
import { readLines } from '../collections/ingest/lines.js';
import { ProblemError } from '../http/problems.js';
import { isStorable } from '../http/request-body.js';
import { namedMember, type NamedMember } from './named-members.js';

/** Bytes; a line of any catalogue is shorter. */
const LONGEST_LINE = 1024 * 1024;
const LONGEST_REF = 1_000;

/** What names a document, the first of them that there is. */
const NAMES = ['ref', 'id', 'url'] as const;

/** @returns undefined where the body is of another media type */
export function readMemberList(request: Request): AsyncGenerator<NamedMember> | undefined {
  const type = request.get('content-type');
  if (type !== 'application/x-ndjson' && type !== 'text/csv') return undefined;
  if ((request.get('content-encoding') ?? 'identity') !== 'identity') {
    throw new ProblemError('media-type-not-supported', 'Send the lines as they are, without Content-Encoding.');
  }
  return type === 'text/csv' ? readRecords(request) : readNdjson(request);
}

/** @throws {ProblemError} `members-unreadable` */
async function* readNdjson(body: AsyncIterable<Buffer>): AsyncGenerator<NamedMember> {
  for await (const line of readLines(body, LONGEST_LINE)) {
    if ('fault' in line) throw unreadable(line.number, line.fault);
    let value: unknown;
    try {
      value = JSON.parse(line.text);
    } catch {
      throw unreadable(line.number, 'the line is not JSON');
    }
    const isNamed = typeof value === 'object' && value !== null;
    const given = isNamed ? value : { [typeof value === 'number' ? 'id' : 'ref']: value };
    yield memberOf(given as Readonly<Record<string, unknown>>, line.number);
  }
}

/** @throws {ProblemError} `members-unreadable` */
async function* readRecords(body: Request): AsyncGenerator<NamedMember> {
  const parser = parse({
    bom: true,
    relaxColumnCount: true,
    skipEmptyLines: true,
    maxRecordSize: LONGEST_LINE,
    info: true,
  });
  // Whoever reads the parser hears of what breaks before it.
  pipeline(body, parser, () => undefined);
  let columns: string[] | undefined;
  try {
    for await (const { record, info } of parser as AsyncIterable<{ record: string[]; info: { lines: number } }>) {
      const line = info.lines;
      if (columns === undefined) {
        columns = record.map((name) => name.trim().toLowerCase());
        if (!NAMES.some((name) => columns?.includes(name))) throw unreadable(line, NO_COLUMN);
        continue;
      }
      const cells = columns.map((name, index) => [name, record[index]] as const);
      yield memberOf(Object.fromEntries(cells), line);
    }
  } catch (error) {
    if (error instanceof CsvError) throw unreadable(parser.info.lines, error.message);
    throw error;
  }
}

const NO_COLUMN = 'the first line names the columns, and one of them must be ref, id or url';

function memberOf(given: Readonly<Record<string, unknown>>, line: number): NamedMember {
  const name = NAMES.find((each) => given[each] !== undefined && given[each] !== null && given[each] !== '');
  if (name === undefined) throw unreadable(line, 'it names no document: there is no ref, id or url');
  const value = given[name];
  if (name === 'id') {
    const id = typeof value === 'number' ? String(value) : value;
    if (typeof id === 'string' && /^[1-9]\d{0,17}$/.test(id)) return { id };
    throw unreadable(line, 'id must be the number of a document');
  }
  if (typeof value !== 'string' || value.length > LONGEST_REF || !isStorable(value)) {
    throw unreadable(line, `${name} must be a text of up to ${LONGEST_REF} characters`);
  }
  return namedMember(value);
}

const unreadable = (line: number, fault: string): ProblemError =>
  new ProblemError('members-unreadable', `Line ${line}: ${fault}.`, { line });
