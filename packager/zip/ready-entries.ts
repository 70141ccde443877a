/** Deflates what has to be deflated, in other threads and much at once, and hands all of it over in its order. */
import { crc32 } from 'node:zlib';
import { createContentGroup } from './deflate-pool.js';
import { deflate } from './deflate.js';
import { LONGEST_SHORT, type ArchiveEntry, type BytesEntry, type EntryFacts, type StoredEntry } from './entry.js';

/** An entry of which everything is known. */
export interface ReadyEntry extends EntryFacts {
  data: Buffer | readonly Buffer[] | AsyncIterable<Buffer>;
}

/** Bytes of contents that are deflated, or wait behind one that is. */
const BYTES_AHEAD = 8 * 1024 * 1024;
/** What an entry takes besides its bytes. */
const ENTRY_COST = 1024;
const LEVEL = 6;

/** Entries that are handed over together. */
interface Waiting {
  entries: Promise<readonly ReadyEntry[]>;
  cost: number;
  /** Nobody looks at their memory any more. */
  give?: () => void;
}

/**
 * Where nothing is to be deflated nothing is read ahead either.
 * @returns batches, whose memory is used again when the next one is asked for
 */
export async function* readyEntries(
  batches: AsyncIterable<readonly ArchiveEntry[]>,
): AsyncGenerator<readonly ReadyEntry[]> {
  const waiting: Waiting[] = [];
  let held = 0;
  let short: ShortEntries | undefined;
  const put = (next: Waiting): void => {
    // Its failure is met when its turn comes.
    next.entries.catch(() => undefined);
    waiting.push(next);
    held += next.cost;
  };
  const putShort = (): void => {
    if (short !== undefined) put(short.deflate());
    short = undefined;
  };
  async function* takeFirst(): AsyncGenerator<readonly ReadyEntry[]> {
    const [first] = waiting;
    if (first === undefined) return;
    yield await first.entries;
    waiting.shift();
    held -= first.cost;
    first.give?.();
  }

  try {
    for await (const batch of batches) {
      if (waiting.length === 0 && short === undefined && batch.every(isStored)) {
        yield batch;
        continue;
      }
      for (const entry of batch) {
        if (!isShort(entry)) {
          putShort();
          put(waitingAlone(entry));
        } else if (short?.add(entry) !== true) {
          putShort();
          short = shortEntries(entry);
        }
        while (held > BYTES_AHEAD) yield* takeFirst();
      }
    }
    putShort();
    while (waiting.length > 0) yield* takeFirst();
  } finally {
    short?.give();
    // Threads may still be writing there. What they fail at is left to the garbage collector.
    for (const { entries, give } of waiting) entries.then(give, () => undefined);
  }
}

const isStored = (entry: ArchiveEntry): entry is StoredEntry => entry.type === 'stored';

const isShort = (entry: ArchiveEntry): entry is BytesEntry =>
  entry.type === 'bytes' && entry.content.length <= LONGEST_SHORT && entry.store !== true;

interface ShortEntries {
  /** False: it is for the next ones. */
  add(entry: BytesEntry): boolean;
  /** To be called once, after the last. */
  deflate(): Waiting;
  /** Instead of deflating them. */
  give(): void;
}

/** Short entries, which are deflated together: each by itself would take as long to hand over as to deflate. */
function shortEntries(first: BytesEntry): ShortEntries {
  const group = createContentGroup(LEVEL);
  const facts: Pick<EntryFacts, 'name' | 'size'>[] = [];
  const add = ({ name, content }: BytesEntry): boolean => {
    if (!group.add(content)) return false;
    facts.push({ name, size: content.length });
    return true;
  };
  const deflated = async (): Promise<ReadyEntry[]> => {
    const contents = await group.deflate();
    return facts.map(({ name, size }, index) => {
      const found = contents[index];
      if (found === undefined) throw new RangeError(`${name} was not deflated`);
      const { bytes, crc32 } = found;
      return {
        name,
        size,
        stored: bytes.length,
        crc32,
        method: bytes.length < size ? 'deflate' : 'store',
        data: bytes,
      };
    });
  };
  add(first);
  return {
    add,
    deflate: () => ({ entries: deflated(), cost: group.cost + facts.length * ENTRY_COST, give: () => group.give() }),
    give: () => group.give(),
  };
}

function waitingAlone(entry: ArchiveEntry): Waiting {
  if (entry.type === 'bytes') return { entries: deflatedAlone(kept(entry)), cost: ENTRY_COST + entry.content.length };
  // A stream is read before anything behind it is asked for: it may come from the same place.
  const cost = Buffer.isBuffer(entry.data) ? ENTRY_COST + entry.data.length : Infinity;
  return { entries: Promise.resolve([keptStored(entry)]), cost };
}

/** What may be used again when the next batch is asked for is copied. */
const keptStored = (entry: StoredEntry): StoredEntry =>
  Buffer.isBuffer(entry.data) ? { ...entry, data: Buffer.from(entry.data) } : entry;
const kept = (entry: BytesEntry): BytesEntry =>
  entry.content.length > LONGEST_SHORT ? entry : { ...entry, content: Buffer.from(entry.content) };

async function deflatedAlone({ name, content, store = false }: BytesEntry): Promise<ReadyEntry[]> {
  const pieces = store ? [] : await deflate(content, { level: LEVEL });
  const stored = pieces.reduce((sum, piece) => sum + piece.length, 0);
  const facts = { name, size: content.length, crc32: crc32(content) };
  // Deflated, where that has made it smaller.
  const isSmaller = stored > 0 && stored < content.length;
  if (!isSmaller) return [{ ...facts, stored: content.length, method: 'store', data: content }];
  return [{ ...facts, stored, method: 'deflate', data: pieces }];
}
