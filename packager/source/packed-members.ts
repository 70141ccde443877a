/** Members in a third of the room that they take as text, and a tenth of what they take as objects. */
import { deserialize, serialize } from 'node:v8';
import type { Member, MemberFile, Segment, StoredRange } from './members.js';

export interface PackedMembers {
  /** Bytes held, as of the last whole block. */
  readonly bytes: number;
  add(member: Member): void;
  members(): Iterable<Member[]>;
}

/** Unpacked at a time. */
const BLOCK_MEMBERS = 256;
const DIGEST_BYTES = 32;
/** Places of documents that are kept apart from their numbers. */
const PLACES = 64;
/** A URL that ends in a number, which reads the same when it was one. */
const NUMBERED = /^(.*\D)([1-9]\d{0,14})$/s;

type Value = string | number | undefined;

/** What can be counted or reads as text, in order, and what is all digits. */
interface Block {
  values: Value[];
  digests: Buffer;
}

/** Keeps the files of the given formats only. */
export function createPackedMembers(formats: readonly string[]): PackedMembers {
  const segments = createNumbering<Segment>(({ id }) => id);
  const texts = createNumbering<string>((text) => text);
  const places = createNumbering<string>((text) => text);
  const blocks: Buffer[] = [];
  let values: Value[] = [];
  let digests: string[] = [];
  let count = 0;
  let bytes = 0;

  const addFile = ({ href, accept, media_type, size, sha256, stored }: MemberFile, base: string): void => {
    const isUnder = base !== '' && href.startsWith(base);
    values.push(
      isUnder ? 1 : 0,
      isUnder ? href.slice(base.length) : href,
      texts.of(accept),
      texts.of(media_type),
      size,
    );
    values.push(sha256 === undefined ? 0 : 1);
    if (sha256 !== undefined) digests.push(sha256);
    values.push(segments.of(stored?.segment));
    if (stored === undefined) return;
    values.push(stored.offset, stored.length, texts.of(stored.method));
    digests.push(stored.crc32.toString(16).padStart(8, '0'), stored.sha256);
  };

  /** Most documents are at a place that they share, each under a number. */
  const addUrl = (url: string | undefined): void => {
    const [, text = '', number = ''] = (url === undefined ? null : NUMBERED.exec(url)) ?? [];
    const place = number === '' ? undefined : places.ofFew(text, PLACES);
    values.push(place);
    values.push(place === undefined ? url : Number(number));
  };

  const endBlock = (): void => {
    const block = serialize({ values, digests: Buffer.from(digests.join(''), 'hex') } satisfies Block);
    blocks.push(block);
    bytes += block.length;
    values = [];
    digests = [];
  };

  return {
    get bytes() {
      return bytes;
    },
    add({ ref, title, creator, date, url, files }) {
      values.push(ref, title, creator, date);
      addUrl(url);
      for (const format of formats) {
        const file = files[format];
        values.push(file === undefined ? 0 : 1);
        if (file !== undefined) addFile(file, url ?? '');
      }
      count += 1;
      if (count % BLOCK_MEMBERS === 0) endBlock();
    },
    *members() {
      if (values.length > 0) endBlock();
      for (const block of blocks) yield [...unpack(deserialize(block) as Block, { formats, segments, texts, places })];
    },
  };
}

interface Packing {
  formats: readonly string[];
  segments: Numbering<Segment>;
  texts: Numbering<string>;
  /** Of documents, up to their number. */
  places: Numbering<string>;
}

function* unpack({ values, digests }: Block, { formats, segments, texts, places }: Packing): Generator<Member> {
  let position = 0;
  let digestPosition = 0;
  const next = (): Value => values[position++];
  const nextText = (): string | undefined => next() as string | undefined;
  const nextNumber = (): number | undefined => next() as number | undefined;
  const nextDigest = (): string => {
    digestPosition += DIGEST_BYTES;
    return digests.toString('hex', digestPosition - DIGEST_BYTES, digestPosition);
  };
  const nextFile = (base: string): MemberFile => {
    const isUnder = next() === 1;
    const written = next() as string;
    return {
      href: isUnder ? base + written : written,
      accept: texts.at(nextNumber()),
      media_type: texts.at(nextNumber()),
      size: nextNumber(),
      sha256: next() === 1 ? nextDigest() : undefined,
      stored: nextRange(segments.at(nextNumber())),
    };
  };
  const nextRange = (segment: Segment | undefined): StoredRange | undefined => {
    if (segment === undefined) return undefined;
    const offset = next() as number;
    const length = next() as number;
    const method = texts.at(nextNumber()) as StoredRange['method'];
    digestPosition += 4;
    return { segment, offset, length, method, crc32: digests.readUInt32BE(digestPosition - 4), sha256: nextDigest() };
  };

  while (position < values.length) {
    const ref = next() as string;
    const title = nextText();
    const creator = nextText();
    const date = nextText();
    const place = places.at(nextNumber());
    const url = place === undefined ? nextText() : `${place}${String(next())}`;
    const files: Record<string, MemberFile> = {};
    for (const format of formats) if (next() === 1) files[format] = nextFile(url ?? '');
    yield { ref, title, creator, date, url, files };
  }
}

interface Numbering<T> {
  /** The number of a thing that was met before, or a new one; undefined has none. */
  of(thing: T | undefined): number | undefined;
  /** The same, but there is no new number when there are so many. */
  ofFew(thing: T, most: number): number | undefined;
  at(number: number | undefined): T | undefined;
}

/** Gives numbers to what comes again and again. The latest of two with the same key is kept. */
function createNumbering<T>(keyOf: (thing: T) => string): Numbering<T> {
  const numbers = new Map<string, number>();
  const things: T[] = [];
  const of = (thing: T): number => {
    const number = numbers.get(keyOf(thing)) ?? things.length;
    if (things[number] !== thing) {
      things[number] = thing;
      numbers.set(keyOf(thing), number);
    }
    return number;
  };
  return {
    of: (thing) => (thing === undefined ? undefined : of(thing)),
    ofFew: (thing, most) => (things.length < most || numbers.has(keyOf(thing)) ? of(thing) : undefined),
    at: (number) => (number === undefined ? undefined : things[number]),
  };
}
