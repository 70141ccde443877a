/** Deflates what has to be deflated, in other threads and much at once, and hands all of it over in its order. */
import { crc32 } from 'node:zlib';
import { deflateMany } from './deflate-pool.js';
import { deflate } from './deflate.js';
import type { ArchiveEntry, BytesEntry, EntryFacts, StoredEntry } from './entry.js';

/** An entry of which everything is known. */
export interface ReadyEntry extends EntryFacts {
  data: Buffer | readonly Buffer[] | AsyncIterable<Buffer>;
}

/** Bytes of contents that are deflated, or wait behind one that is. */
const BYTES_AHEAD = 16 * 1024 * 1024;
/** What an entry takes besides its bytes. */
const ENTRY_COST = 1024;
/** Short contents go to a thread so many bytes at a time: each by itself would take as long to hand over as to deflate. */
const TOGETHER = 256 * 1024;
const LEVEL = 6;

/** Where nothing is to be deflated nothing is read ahead either. */
export async function* readyEntries(
  batches: AsyncIterable<readonly ArchiveEntry[]>,
): AsyncGenerator<readonly ReadyEntry[]> {
  const waiting: { entries: Promise<readonly ReadyEntry[]>; cost: number }[] = [];
  let held = 0;
  let short: BytesEntry[] = [];
  let shortBytes = 0;
  const put = (entries: Promise<readonly ReadyEntry[]>, cost: number): void => {
    // Its failure is met when its turn comes.
    entries.catch(() => undefined);
    waiting.push({ entries, cost });
    held += cost;
  };
  const putShort = (): void => {
    if (short.length === 0) return;
    put(deflatedTogether(short), shortBytes + short.length * ENTRY_COST);
    short = [];
    shortBytes = 0;
  };
  for await (const batch of batches) {
    if (waiting.length === 0 && short.length === 0 && batch.every(isStored)) {
      yield batch;
      continue;
    }
    for (const entry of batch) {
      if (entry.type === 'bytes' && entry.content.length < TOGETHER && entry.store !== true) {
        short.push(entry);
        shortBytes += entry.content.length;
        if (shortBytes >= TOGETHER) putShort();
      } else {
        putShort();
        put(entry.type === 'stored' ? Promise.resolve([kept(entry)]) : deflatedAlone(entry), costOf(entry));
      }
      while (held > BYTES_AHEAD) {
        const first = waiting.shift();
        if (first === undefined) break;
        yield await first.entries;
        held -= first.cost;
      }
    }
  }
  putShort();
  for (const { entries } of waiting) yield await entries;
}

const isStored = (entry: ArchiveEntry): entry is StoredEntry => entry.type === 'stored';

/** A stream is read before anything behind it is asked for: it may come from the same place. */
function costOf(entry: ArchiveEntry): number {
  if (entry.type === 'bytes') return ENTRY_COST + entry.content.length;
  return Buffer.isBuffer(entry.data) ? ENTRY_COST + entry.data.length : Infinity;
}

/** Its memory may be used again when the next batch is asked for. */
const kept = (entry: StoredEntry): StoredEntry =>
  Buffer.isBuffer(entry.data) ? { ...entry, data: Buffer.from(entry.data) } : entry;

async function deflatedTogether(entries: readonly BytesEntry[]): Promise<ReadyEntry[]> {
  const deflated = await deflateMany(
    entries.map(({ content }) => content),
    LEVEL,
  );
  return entries.map(({ name, content }, index) => {
    const found = deflated[index];
    if (found === undefined) throw new RangeError(`${name} was not deflated`);
    return smaller({ name, size: content.length, crc32: found.crc32 }, content, [found.bytes]);
  });
}

async function deflatedAlone({ name, content, store = false }: BytesEntry): Promise<ReadyEntry[]> {
  const pieces = store ? [] : await deflate(content, { level: LEVEL });
  return [smaller({ name, size: content.length, crc32: crc32(content) }, content, pieces)];
}

/** Deflated, where that has made it smaller. */
function smaller(
  facts: Pick<EntryFacts, 'name' | 'size' | 'crc32'>,
  content: Buffer,
  pieces: readonly Buffer[],
): ReadyEntry {
  const stored = pieces.reduce((sum, piece) => sum + piece.length, 0);
  if (stored === 0 || stored >= content.length)
    return { ...facts, stored: content.length, method: 'store', data: content };
  const [only] = pieces;
  return { ...facts, stored, method: 'deflate', data: pieces.length === 1 && only !== undefined ? only : pieces };
}
