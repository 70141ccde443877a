/**
 * What the directory at the end of a zip will say, packed: each name as its difference to the one before it, numbers
 * without their zeros, and full blocks deflated. A million entries take some 20 MB, where the directory itself takes 100.
 */
import { promisify } from 'node:util';
import { inflateRaw as inflateRawCallback } from 'node:zlib';
import { deflate } from './deflate.js';
import type { EntryFacts, StoreMethod } from './entry.js';
import { LONGEST_NAME } from './records.js';

const inflateRaw = promisify(inflateRawCallback);

const BLOCK = 256 * 1024;
/** The most that one entry takes besides its name: CRC, method, and four numbers of at most 8 bytes. */
const LONGEST_ENTRY = 4 + 1 + 4 * 8;

const METHODS: readonly StoreMethod[] = ['store', 'deflate'];

export interface DirectoryLog {
  /** An entry, whose name lies in `source` from `start` on. A promise where there is a block to wait for. */
  add(source: Buffer, start: number, nameBytes: number, facts: Omit<EntryFacts, 'name'>): Promise<void> | undefined;
  /** From the first; the name is good until the next entry is asked for. Reading frees what was read. */
  read(): AsyncGenerator<{ name: Uint8Array; facts: Omit<EntryFacts, 'name'> }>;
}

interface PackedBlock {
  bytes: Buffer;
  isDeflated: boolean;
  entries: number;
}

export function createDirectoryLog(): DirectoryLog {
  const blocks: PackedBlock[] = [];
  let packing: Promise<void> = Promise.resolve();
  let block = createBlock();

  const pack = async (full: Buffer, entries: number): Promise<void> => {
    const bytes = Buffer.concat(await deflate(full, { level: 1 }));
    const isDeflated = bytes.length < full.length;
    blocks.push({ bytes: isDeflated ? bytes : full, isDeflated, entries });
  };

  return {
    add(source, start, nameBytes, facts) {
      block.add(source, start, nameBytes, facts);
      if (!block.isFull()) return undefined;
      const full = block;
      block = createBlock();
      const before = packing;
      // One at a time: should the threads be busy, the archive waits for them rather than the memory.
      packing = before.then(() => pack(full.bytes(), full.entries()));
      return before;
    },
    async *read() {
      await packing;
      blocks.push({ bytes: block.bytes(), isDeflated: false, entries: block.entries() });
      for (let first = blocks.shift(); first !== undefined; first = blocks.shift()) {
        const bytes = first.isDeflated ? await inflateRaw(first.bytes, { chunkSize: BLOCK }) : first.bytes;
        yield* readBlock(bytes, first.entries);
      }
    },
  };
}

/** Names are told apart from the one before them within a block only. */
function createBlock() {
  const bytes = Buffer.allocUnsafeSlow(BLOCK + LONGEST_NAME + LONGEST_ENTRY);
  // Beside the block, where the last name lies only as what was new in it.
  const previous = Buffer.allocUnsafeSlow(LONGEST_NAME);
  let previousBytes = 0;
  let at = 0;
  let entries = 0;
  const writeNumber = (value: number): void => {
    let rest = value;
    while (rest >= 0x80) {
      bytes[at++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    bytes[at++] = rest;
  };
  return {
    add(source: Buffer, start: number, nameBytes: number, facts: Omit<EntryFacts, 'name'>): void {
      const { size, stored, crc32, method } = facts;
      const most = Math.min(previousBytes, nameBytes);
      let common = 0;
      while (common < most && previous[common] === source[start + common]) common += 1;
      writeNumber(common);
      writeNumber(nameBytes - common);
      at += source.copy(bytes, at, start + common, start + nameBytes);
      source.copy(previous, common, start + common, start + nameBytes);
      previousBytes = nameBytes;
      bytes[at++] = METHODS.indexOf(method);
      at = bytes.writeUInt32LE(crc32, at);
      writeNumber(size);
      writeNumber(stored);
      entries += 1;
    },
    isFull: () => at >= BLOCK,
    bytes: () => bytes.subarray(0, at),
    entries: () => entries,
  };
}

function* readBlock(bytes: Buffer, entries: number) {
  const name = new Uint8Array(LONGEST_NAME);
  let at = 0;
  const readNumber = (): number => {
    let value = 0;
    let factor = 1;
    for (;;) {
      const byte = bytes.readUInt8(at++);
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) return value;
      factor *= 0x80;
    }
  };
  for (let entry = 0; entry < entries; entry++) {
    const common = readNumber();
    const own = readNumber();
    name.set(bytes.subarray(at, at + own), common);
    at += own;
    const method = METHODS[bytes.readUInt8(at)] ?? 'store';
    const crc32 = bytes.readUInt32LE(at + 1);
    at += 5;
    const size = readNumber();
    const stored = readNumber();
    yield { name: name.subarray(0, common + own), facts: { size, stored, crc32, method } };
  }
}
