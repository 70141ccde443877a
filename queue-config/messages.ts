/**
 * The messages of the contract and their text codec (design §3). A message is readable by a person, and its body alone
 * is enough: the headers repeat what a program needs.
 */
import { isId, parseEventsDestination, eventsOf, type Destination } from './destinations.js';
import type { ReceivedMessage } from './broker.js';

/** The message cannot be read; the text says what is wrong with which part. */
export class UnreadableMessageError extends Error {
  override readonly name = 'UnreadableMessageError';
}

/** A request to package a docset. */
export interface PackageRequest {
  /** Docset resource with the wanted formats, e.g. `http://server/api/docsets/5?fmt=meta,txt`. */
  url: string;
  /** The docset's id: last path segment of `url`. */
  docset: string;
  /** Wanted formats, from `url`; `txt` where it names none. */
  formats: string[];
  /** Where the events go. */
  replyTo: Destination;
  /** Dump id; undefined where the sender knows no headers of ours. */
  dump?: string | undefined;
  /** 1, 2, 3: how often the api-server has asked for this dump. */
  attempt: number;
  /** Key prefix under which the archive goes, ending in `/`; undefined where the sender named none. */
  archiveKey?: string | undefined;
  /** To be repeated in every event: what shows that the packager was given this dump to make. */
  ticket?: string | undefined;
  /** W3C trace context, passed on as it came. */
  traceparent?: string | undefined;
}

/** A request to free the storage of a dump. */
export interface DeleteRequest {
  dump: string;
  /** Key prefix of everything of that dump, `dumps/<dump id>/`. */
  prefix: string;
}

/** The phases of packaging, in order. */
export const PHASES = ['listing', 'packaging', 'uploading', 'verifying'] as const;
export type Phase = (typeof PHASES)[number];

/** When a phase ran; `ended` is undefined while it does. */
export interface PhaseSpan {
  phase: Phase;
  started: Date;
  ended?: Date | undefined;
}

/** What a packager says of a dump. Everything optional is missing in the bare messages of other makes. */
export type EventContent =
  | { type: 'Accepted'; remainingSeconds?: number | undefined }
  | {
      type: 'Progress';
      percent: number;
      phase?: Phase | undefined;
      documents?: { done: number; total: number } | undefined;
      bytes?: number | undefined;
      remainingSeconds?: number | undefined;
    }
  | {
      type: 'Complete';
      url: string;
      size?: number | undefined;
      sha256?: string | undefined;
      documents?: number | undefined;
      omitted?: number | undefined;
    }
  | { type: 'Failed'; detail: string; code?: string | undefined };

/** Which dump an event speaks of, and its place in the order of events. All undefined in bare messages. */
export interface EventOrigin {
  dump?: string | undefined;
  attempt?: number | undefined;
  /**
   * Which run of the attempt this is: milliseconds since the epoch at its start. A broker may hand one request to a second
   * packager; the later run wins.
   */
  run?: number | undefined;
  /** 1, 2, 3… within a run. */
  sequence?: number | undefined;
  /** That of the package request. */
  ticket?: string | undefined;
  /** The packager's name, for the operator: `host/process/id`. */
  packager?: string | undefined;
}

export type PackagerEvent = EventContent & EventOrigin & { timeline?: PhaseSpan[] | undefined };

const FORMAT = /^[a-z0-9]{1,16}$/;
const ARCHIVE_KEY = /^dumps\/[A-Za-z0-9_-]{1,64}\/[1-9][0-9]{0,3}\/$/;
const DUMP_PREFIX = /^dumps\/([A-Za-z0-9_-]{1,64})\/$/;
/** C0 and C1 controls and DEL, but for tab, line feed and carriage return. */
// eslint-disable-next-line no-control-regex
const CONTROL = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]/;
const PACKAGER = /^[A-Za-z0-9][A-Za-z0-9._/-]{0,127}$/;
/** Characters of a sentence, and of a URL, that are kept with a dump and sent to its miner. */
const LONGEST_DETAIL = 1_000;
const LONGEST_URL = 2_000;
const SHA256 = /^[0-9a-f]{64}$/;

/** Key prefix of everything that belongs to a dump. */
export const dumpPrefix = (dump: string): string => `dumps/${dump}/`;

/** Key prefix of one attempt at a dump; `manifest.json` under it is written last. */
export const archiveKey = (dump: string, attempt: number): string => `${dumpPrefix(dump)}${attempt}/`;

/** Headers and body of a package request. */
export function encodePackageRequest(
  request: Pick<PackageRequest, 'url' | 'attempt' | 'ticket' | 'traceparent'> & { dump: string; docset: string },
): { headers: Record<string, string>; body: string } {
  return {
    headers: {
      'content-type': 'text/plain',
      'correlation-id': request.dump,
      'reply-to': eventsOf(request.docset),
      attempt: String(request.attempt),
      'archive-key': archiveKey(request.dump, request.attempt),
      ...(request.ticket === undefined ? {} : { ticket: request.ticket }),
      ...(request.traceparent === undefined ? {} : { traceparent: request.traceparent }),
    },
    body: request.url,
  };
}

/**
 * Reads a package request. Only the body is needed; white space and line breaks around the URL are ignored, and `fmts` is
 * read like `fmt`.
 * @throws {UnreadableMessageError}
 */
export function decodePackageRequest({ headers, body }: ReceivedMessage): PackageRequest {
  const text = body.trim();
  if (text === '') throw new UnreadableMessageError('the body is empty: it must be the URL of a docset');
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw new UnreadableMessageError(`the body is not a URL: ${quote(text)}`);
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw new UnreadableMessageError(`the body is not an http(s) URL: ${quote(text)}`);
  }
  const docset = url.pathname.split('/').filter(Boolean).at(-1);
  if (docset === undefined || !isId(docset)) {
    throw new UnreadableMessageError(`the last path segment is not a docset id: ${quote(text)}`);
  }
  const wanted = url.searchParams.get('fmt') ?? url.searchParams.get('fmts') ?? 'txt';
  const formats = [...new Set(wanted.split(',').map((format) => format.trim()))].filter((format) => format !== '');
  const wrong = formats.find((format) => !FORMAT.test(format));
  if (formats.length === 0 || wrong !== undefined) {
    throw new UnreadableMessageError(`fmt names no usable format: ${quote(wanted)}`);
  }
  const replyTo = headers['reply-to'] === undefined ? eventsOf(docset) : parseReplyTo(headers['reply-to']);
  const key = headers['archive-key'];
  if (key !== undefined && !ARCHIVE_KEY.test(key)) {
    throw new UnreadableMessageError(`archive-key is not dumps/<dump id>/<attempt>/: ${quote(key)}`);
  }
  return {
    url: text,
    docset,
    formats,
    replyTo,
    dump: optionalId(headers, 'correlation-id'),
    attempt: optionalCount(headers, 'attempt') ?? 1,
    archiveKey: key,
    ticket: optionalId(headers, 'ticket'),
    traceparent: headers['traceparent'],
  };
}

/** Headers and body of a delete request. */
export function encodeDeleteRequest(dump: string): { headers: Record<string, string>; body: string } {
  return { headers: { 'content-type': 'text/plain', 'correlation-id': dump }, body: dumpPrefix(dump) };
}

/** @throws {UnreadableMessageError} */
export function decodeDeleteRequest({ body }: ReceivedMessage): DeleteRequest {
  const prefix = body.trim();
  const dump = DUMP_PREFIX.exec(prefix)?.[1];
  if (dump === undefined) throw new UnreadableMessageError(`the body is not dumps/<dump id>/: ${quote(prefix)}`);
  return { dump, prefix };
}

/** Headers and body of an event. */
export function encodeEvent(event: PackagerEvent): { headers: Record<string, string>; body: string } {
  const headers: Record<string, string> = { 'content-type': 'text/plain', status: event.type.toLowerCase() };
  if (event.dump !== undefined) headers['correlation-id'] = event.dump;
  if (event.attempt !== undefined) headers['attempt'] = String(event.attempt);
  if (event.run !== undefined) headers['run'] = String(event.run);
  if (event.sequence !== undefined) headers['sequence'] = String(event.sequence);
  if (event.ticket !== undefined) headers['ticket'] = event.ticket;
  if (event.packager !== undefined) headers['packager'] = event.packager;
  const lines = eventLines(event);
  if (event.timeline !== undefined && event.timeline.length > 0) {
    lines.push(`Timeline: ${event.timeline.map(encodeSpan).join(', ')}`);
  }
  return { headers, body: lines.join('\n') };
}

/**
 * Reads an event: the first line is a word, `Key: value` lines follow. Unknown keys are ignored.
 * @returns undefined for a first word that this version does not know: to be logged and left
 * @throws {UnreadableMessageError}
 */
export function decodeEvent({ headers, body }: ReceivedMessage): PackagerEvent | undefined {
  // Databases refuse U+0000 in texts, and terminals obey the rest of them.
  if (CONTROL.test(body)) throw new UnreadableMessageError('the body has a control character');
  const lines = body.split(/\r?\n/).map((line) => line.trim());
  const first = lines.find((line) => line !== '');
  if (first === undefined) throw new UnreadableMessageError('the body is empty: it must start with a word');
  const word = /^[A-Za-z]+/.exec(first)?.[0];
  if (word === undefined) throw new UnreadableMessageError(`the first line starts with no word: ${quote(first)}`);
  const fields = readFields(lines);
  const content = readContent(word, first, fields);
  if (content === undefined) return undefined;
  return {
    ...content,
    dump: optionalId(headers, 'correlation-id'),
    attempt: optionalCount(headers, 'attempt'),
    run: optionalCount(headers, 'run'),
    sequence: optionalCount(headers, 'sequence'),
    ticket: optionalId(headers, 'ticket'),
    packager: packagerName(headers['packager']),
    timeline: readTimeline(fields.get('timeline')),
  };
}

function eventLines(event: EventContent): string[] {
  switch (event.type) {
    case 'Accepted':
      return [event.remainingSeconds === undefined ? 'Accepted.' : `Accepted. ${event.remainingSeconds} seconds`];
    case 'Progress':
      return present([
        `Progress: ${event.percent}%`,
        event.phase && `Phase: ${event.phase}`,
        event.documents && `Documents: ${event.documents.done}/${event.documents.total}`,
        event.bytes !== undefined && `Bytes: ${event.bytes}`,
        event.remainingSeconds !== undefined && `Remaining: ${event.remainingSeconds} seconds`,
      ]);
    case 'Complete':
      return present([
        `Complete: ${event.url}`,
        event.size !== undefined && `Size: ${event.size}`,
        event.sha256 !== undefined && `SHA-256: ${event.sha256}`,
        event.documents !== undefined && `Documents: ${event.documents}`,
        event.omitted !== undefined && `Omitted: ${event.omitted}`,
      ]);
    case 'Failed':
      return present([`Failed: ${oneLine(event.detail)}`, event.code !== undefined && `Code: ${event.code}`]);
  }
}

function readFields(lines: string[]): Map<string, string> {
  const fields = new Map<string, string>();
  for (const line of lines) {
    const match = /^([A-Za-z][A-Za-z0-9-]*):\s*(.*)$/.exec(line);
    // The first of two lines with one key stands.
    if (match?.[1] !== undefined && match[2] !== undefined && !fields.has(match[1].toLowerCase())) {
      fields.set(match[1].toLowerCase(), match[2]);
    }
  }
  return fields;
}

function readContent(word: string, first: string, fields: Map<string, string>): EventContent | undefined {
  switch (word) {
    case 'Accepted':
      return { type: 'Accepted', remainingSeconds: seconds(/^Accepted\.?\s*(.*)$/.exec(first)?.[1]) };
    case 'Progress': {
      const percent = /^(\d{1,3})(?:\.\d+)?\s*%?$/.exec(fields.get('progress') ?? '')?.[1];
      if (percent === undefined || Number(percent) > 100) {
        throw new UnreadableMessageError(`Progress is not a percentage from 0 to 100: ${quote(first)}`);
      }
      const documents = /^(\d{1,15})\/(\d{1,15})$/.exec(fields.get('documents') ?? '');
      return {
        type: 'Progress',
        percent: Number(percent),
        phase: PHASES.find((phase) => phase === fields.get('phase')),
        documents: documents ? { done: Number(documents[1]), total: Number(documents[2]) } : undefined,
        bytes: count(fields, 'bytes'),
        remainingSeconds: seconds(fields.get('remaining')),
      };
    }
    case 'Complete':
      return {
        type: 'Complete',
        url: readUrl(fields.get('complete') ?? ''),
        size: count(fields, 'size'),
        sha256: digest(fields.get('sha-256')),
        documents: count(fields, 'documents'),
        omitted: count(fields, 'omitted'),
      };
    case 'Failed': {
      const detail = (fields.get('failed') ?? '').trim();
      const code = fields.get('code');
      return {
        type: 'Failed',
        detail: detail === '' ? 'The packager gave no reason.' : cut(detail, LONGEST_DETAIL),
        code: code !== undefined && /^[a-z][a-z0-9-]{0,63}$/.test(code) ? code : undefined,
      };
    }
    default:
      return undefined;
  }
}

function encodeSpan({ phase, started, ended }: PhaseSpan): string {
  return `${phase} ${started.toISOString()}/${ended === undefined ? '..' : ended.toISOString()}`;
}

/** Intervals as ISO 8601-2 writes them, `..` for an open end. What does not read as one is left out. */
function readTimeline(text: string | undefined): PhaseSpan[] | undefined {
  if (text === undefined) return undefined;
  return text.split(',').flatMap((part) => {
    const [name, interval] = part.trim().split(/\s+/);
    const [from, to] = (interval ?? '').split('/');
    const phase = PHASES.find((known) => known === name);
    const started = new Date(from ?? '');
    if (phase === undefined || Number.isNaN(started.getTime())) return [];
    const ended = to === undefined || to === '..' ? undefined : new Date(to);
    if (ended !== undefined && Number.isNaN(ended.getTime())) return [];
    return [{ phase, started, ended }];
  });
}

function readUrl(text: string): string {
  const url = text.trim();
  if (url.length > LONGEST_URL) throw new UnreadableMessageError(`Complete names a URL of ${url.length} characters`);
  if (!URL.canParse(url)) throw new UnreadableMessageError(`Complete names no URL: ${quote(url)}`);
  // Normalised: it will stand in a header, which takes no more than ASCII.
  return new URL(url).href;
}

function digest(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  const hex = text.trim().toLowerCase();
  if (!SHA256.test(hex)) throw new UnreadableMessageError(`SHA-256 is not 64 hexadecimal digits: ${quote(text)}`);
  return hex;
}

function count(fields: Map<string, string>, key: string): number | undefined {
  const text = fields.get(key);
  if (text === undefined) return undefined;
  if (!/^\d{1,15}$/.test(text)) throw new UnreadableMessageError(`${key} is not a whole number: ${quote(text)}`);
  return Number(text);
}

function seconds(text: string | undefined): number | undefined {
  const digits = /^(\d{1,9})(?:\.\d+)?\s*(?:s|sec|second|seconds)?\.?$/i.exec(text?.trim() ?? '')?.[1];
  return digits === undefined ? undefined : Number(digits);
}

/** The name as a log may show it; undefined where it is none. */
function packagerName(text: string | undefined): string | undefined {
  return text !== undefined && PACKAGER.test(text) ? text : undefined;
}

function optionalId(headers: ReceivedMessage['headers'], name: string): string | undefined {
  const text = headers[name];
  if (text === undefined || text === '') return undefined;
  if (!isId(text)) throw new UnreadableMessageError(`${name} is not an id: ${quote(text)}`);
  return text;
}

function optionalCount(headers: ReceivedMessage['headers'], name: string): number | undefined {
  const text = headers[name];
  if (text === undefined || text === '') return undefined;
  if (!/^\d{1,15}$/.test(text)) throw new UnreadableMessageError(`${name} is not a whole number: ${quote(text)}`);
  return Number(text);
}

function parseReplyTo(text: string): Destination {
  const destination = parseEventsDestination(text);
  if (destination === undefined) {
    throw new UnreadableMessageError(`reply-to is not /queue/package/<docset id>: ${quote(text)}`);
  }
  return destination;
}

function present(lines: (string | false | undefined)[]): string[] {
  return lines.filter((line): line is string => typeof line === 'string');
}

function oneLine(text: string): string {
  // eslint-disable-next-line no-control-regex
  return text.replace(/[\s\u0000-\u001f\u007f-\u009f]+/g, ' ').trim();
}

/** At most 100 characters of what came, for an error message. */
function quote(text: string): string {
  return JSON.stringify(cut(text, 100));
}

function cut(text: string, length: number): string {
  // No half of a pair is left at the end: databases refuse it.
  return text.length > length ? `${text.slice(0, length).replace(/[\ud800-\udbff]$/, '')}…` : text;
}
