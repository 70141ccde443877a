/** Deflates what has to be deflated, several entries at once, and hands all of them over in their order. */
import { crc32 } from 'node:zlib';
import { deflate } from './deflate.js';
import type { ArchiveEntry, BytesEntry, EntryFacts, StoredEntry } from './entry.js';

/** An entry of which everything is known. */
export interface ReadyEntry extends EntryFacts {
  data: Buffer | readonly Buffer[] | AsyncIterable<Buffer>;
}

/** Bytes of contents that are deflated, or wait behind one that is. */
const BYTES_AHEAD = 16 * 1024 * 1024;
const ENTRIES_AHEAD = 64;
const LEVEL = 6;

/** Where nothing is to be deflated nothing is read ahead either. */
export async function* readyEntries(entries: AsyncIterable<ArchiveEntry>): AsyncGenerator<ReadyEntry> {
  const waiting: { entry: Promise<ReadyEntry> | ReadyEntry; cost: number }[] = [];
  let held = 0;
  for await (const entry of entries) {
    if (entry.type === 'stored' && waiting.length === 0) {
      yield entry;
      continue;
    }
    const cost = costOf(entry);
    waiting.push({ entry: entry.type === 'stored' ? kept(entry) : deflatedEntry(entry), cost });
    held += cost;
    while (waiting.length >= ENTRIES_AHEAD || held > BYTES_AHEAD) {
      const first = waiting.shift();
      if (first === undefined) break;
      yield await first.entry;
      held -= first.cost;
    }
  }
  for (const { entry } of waiting) yield await entry;
}

/** A stream is read before anything behind it is asked for: it may come from the same place. */
function costOf(entry: ArchiveEntry): number {
  if (entry.type === 'bytes') return entry.content.length;
  return Buffer.isBuffer(entry.data) ? entry.data.length : Infinity;
}

/** Its memory may be used again when the next entry is asked for. */
const kept = (entry: StoredEntry): StoredEntry =>
  Buffer.isBuffer(entry.data) ? { ...entry, data: Buffer.from(entry.data) } : entry;

async function deflatedEntry({ name, content, store = false }: BytesEntry): Promise<ReadyEntry> {
  const size = content.length;
  const facts = { name, size, crc32: crc32(content) };
  const pieces = store || size === 0 ? [] : await deflate(content, { level: LEVEL });
  const stored = pieces.reduce((sum, piece) => sum + piece.length, 0);
  if (stored === 0 || stored >= size) return { ...facts, stored: size, method: 'store', data: content };
  return { ...facts, stored, method: 'deflate', data: pieces };
}
