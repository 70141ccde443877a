/** The records of a zip, byte by byte (APPNOTE.TXT 6.3.10, section 4.3). Sections below are those of that document. */
import type { EntryFacts, StoreMethod } from './entry.js';

/** Where a 16- or 32-bit field holds this, the value is in a ZIP64 record (4.4.1.4). */
export const FULL_16 = 0xffff;
export const FULL_32 = 0xffffffff;
export const LONGEST_NAME = 0xffff;

const LOCAL = 30;
const CENTRAL = 46;
const END = 22;
const ZIP64_END = 56;
const ZIP64_LOCATOR = 20;
const EXTRA_HEAD = 4;

/** The most that the header of an entry whose name has so many bytes can take, in either place. */
export const longestHeader = (nameBytes: number): number => CENTRAL + nameBytes + EXTRA_HEAD + 24;

/** 4.4.4: "bit 11: Language encoding flag (EFS). If this bit is set, the filename and comment fields for this file MUST be encoded using UTF-8." */
const UTF_8 = 0x0800;
const METHODS: Record<StoreMethod, number> = { store: 0, deflate: 8 };
/** 4.4.3.2: folders and deflate need 2.0, ZIP64 needs 4.5. */
const VERSION_20 = 20;
const VERSION_45 = 45;
const MADE_ON_UNIX = 3 << 8;
/** A regular file, rw-r--r--. */
const FILE_ATTRIBUTES = 0o100644 * 0x10000;
/** A folder, rwxr-xr-x, and the bit by which MS-DOS tells one. */
const FOLDER_ATTRIBUTES = 0o040755 * 0x10000 + 0x10;
const SLASH = 0x2f;

export interface DosTime {
  time: number;
  date: number;
}

type Facts = Omit<EntryFacts, 'name'>;

/** 4.5.3: in a local header the extra field "MUST include BOTH original and compressed file size fields". */
const localExtra = ({ size, stored }: Facts): number => (size >= FULL_32 || stored >= FULL_32 ? EXTRA_HEAD + 16 : 0);

/** In the directory there are only those fields that did not fit. */
function centralExtra({ size, stored }: Facts, offset: number): number {
  const fields = Number(size >= FULL_32) + Number(stored >= FULL_32) + Number(offset >= FULL_32);
  return fields === 0 ? 0 : EXTRA_HEAD + fields * 8;
}

export const localHeaderLength = (nameBytes: number, facts: Facts): number => LOCAL + nameBytes + localExtra(facts);

export const centralHeaderLength = (nameBytes: number, facts: Facts, offset: number): number =>
  CENTRAL + nameBytes + centralExtra(facts, offset);

/** Where the directory lies, and of how many entries it is. */
export interface DirectoryPlace {
  entries: number;
  offset: number;
  length: number;
}

const needsZip64End = ({ entries, offset, length }: DirectoryPlace): boolean =>
  entries >= FULL_16 || offset >= FULL_32 || length >= FULL_32;

export const endLength = (place: DirectoryPlace): number =>
  END + (needsZip64End(place) ? ZIP64_END + ZIP64_LOCATOR : 0);

/**
 * Writes a local header into `out`, whose name lies at `at + 30` already.
 * @returns where the data begins
 */
export function writeLocalHeader(out: Buffer, at: number, nameBytes: number, facts: Facts, time: DosTime): number {
  const extra = localExtra(facts);
  out.writeUInt32LE(0x04034b50, at);
  const next = writeShared(out, at + 4, extra > 0, facts, time);
  out.writeUInt16LE(nameBytes, next);
  out.writeUInt16LE(extra, next + 2);
  const end = at + LOCAL + nameBytes;
  if (extra > 0) {
    out.writeUInt32LE(FULL_32, at + 18);
    out.writeUInt32LE(FULL_32, at + 22);
    writeExtra(out, end, [facts.size, facts.stored]);
  }
  return end + extra;
}

/** Where the name begins in a local header. */
export const LOCAL_NAME = LOCAL;

/** Writes a header of the directory. @returns where it ends */
export function writeCentralHeader(
  out: Buffer,
  at: number,
  name: Uint8Array,
  facts: Facts,
  offset: number,
  time: DosTime,
): number {
  const extra = centralExtra(facts, offset);
  const isZip64 = extra > 0;
  out.writeUInt32LE(0x02014b50, at);
  out.writeUInt16LE(MADE_ON_UNIX | (isZip64 ? VERSION_45 : VERSION_20), at + 4);
  writeShared(out, at + 6, isZip64, facts, time);
  out.writeUInt16LE(name.length, at + 28);
  out.writeUInt16LE(extra, at + 30);
  // Length of the comment, disk, and internal attributes.
  out.fill(0, at + 32, at + 38);
  out.writeUInt32LE(name.at(-1) === SLASH ? FOLDER_ATTRIBUTES : FILE_ATTRIBUTES, at + 38);
  out.writeUInt32LE(Math.min(offset, FULL_32), at + 42);
  out.set(name, at + CENTRAL);
  const end = at + CENTRAL + name.length;
  if (isZip64)
    writeExtra(
      out,
      end,
      [facts.size, facts.stored, offset].filter((value) => value >= FULL_32),
    );
  return end + extra;
}

/** The records after the directory. */
export function endRecords(place: DirectoryPlace): Buffer {
  const { entries, offset, length } = place;
  const records = Buffer.alloc(endLength(place));
  let at = 0;
  if (needsZip64End(place)) {
    records.writeUInt32LE(0x06064b50, 0);
    // 4.3.14.1: "The value stored […] should be the size of the remaining record and should not include the leading 12 bytes."
    writeUInt64(records, 4, ZIP64_END - 12);
    records.writeUInt16LE(MADE_ON_UNIX | VERSION_45, 12);
    records.writeUInt16LE(VERSION_45, 14);
    writeUInt64(records, 24, entries);
    writeUInt64(records, 32, entries);
    writeUInt64(records, 40, length);
    writeUInt64(records, 48, offset);
    records.writeUInt32LE(0x07064b50, ZIP64_END);
    writeUInt64(records, ZIP64_END + 8, offset + length);
    records.writeUInt32LE(1, ZIP64_END + 16);
    at = ZIP64_END + ZIP64_LOCATOR;
  }
  records.writeUInt32LE(0x06054b50, at);
  records.writeUInt16LE(Math.min(entries, FULL_16), at + 8);
  records.writeUInt16LE(Math.min(entries, FULL_16), at + 10);
  records.writeUInt32LE(Math.min(length, FULL_32), at + 12);
  records.writeUInt32LE(Math.min(offset, FULL_32), at + 16);
  return records;
}

/** The 22 bytes that both headers have: version needed, flags, method, time, CRC and sizes. */
function writeShared(out: Buffer, at: number, isZip64: boolean, facts: Facts, time: DosTime): number {
  out.writeUInt16LE(isZip64 ? VERSION_45 : VERSION_20, at);
  out.writeUInt16LE(UTF_8, at + 2);
  out.writeUInt16LE(METHODS[facts.method], at + 4);
  out.writeUInt16LE(time.time, at + 6);
  out.writeUInt16LE(time.date, at + 8);
  out.writeUInt32LE(facts.crc32, at + 10);
  out.writeUInt32LE(Math.min(facts.stored, FULL_32), at + 14);
  out.writeUInt32LE(Math.min(facts.size, FULL_32), at + 18);
  return at + 22;
}

/** 4.5.3, the ZIP64 extended information extra field. */
function writeExtra(out: Buffer, at: number, values: readonly number[]): void {
  out.writeUInt16LE(0x0001, at);
  out.writeUInt16LE(values.length * 8, at + 2);
  for (const [index, value] of values.entries()) writeUInt64(out, at + EXTRA_HEAD + index * 8, value);
}

/** Numbers are exact up to 2⁵³, which is more than any archive has bytes. */
function writeUInt64(out: Buffer, at: number, value: number): void {
  out.writeUInt32LE(value % 0x100000000, at);
  out.writeUInt32LE(Math.floor(value / 0x100000000), at + 4);
}
