/**
 * Adit's archive engine in a process of its own, from one folder into another: told over IPC what to write, it answers how
 * long that took. It is started before it is measured, as a packager is.
 */
import { closeSync, createReadStream, openSync, readFileSync, readSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { openFolderArchiveStore } from '../../packager/archive-store/folder-archive-store.js';
import { fetchDocuments } from '../../packager/source/documents.js';
import type { Listing } from '../../packager/source/listing.js';
import { parseLine, type Segment } from '../../packager/source/members.js';
import { createPackedMembers } from '../../packager/source/packed-members.js';
import { createSourceClient } from '../../packager/source/source-client.js';
import { LONGEST_SHORT, type ArchiveEntry } from '../../packager/zip/entry.js';
import { createZipLength } from '../../packager/zip/zip-length.js';
import { writeZip } from '../../packager/zip/write-zip.js';

/** What is to be archived: documents in segments, or documents each in a file of its own, to be deflated on the way. */
export type Task =
  { type: 'copy'; listing: string; content: string } | { type: 'deflate'; refs: string; folder: string };

export interface Order {
  task: Task;
  /** Folder of the archive. */
  into: string;
  /** The archive's key. */
  key: string;
}

export interface Answer {
  milliseconds: number;
  bytes: number;
  /** Resident memory at its highest, in kilobytes, as the operating system counted it. */
  peakKilobytes: number;
}

const FORMAT = 'txt';
const FILES_TOGETHER = 16;
/** Bytes; what begins at a whole word is copied faster. */
const WORD = 8;

process.on('message', (order: Order) => {
  carryOut(order).then(
    (answer) => process.send?.(answer),
    (error: unknown) => {
      process.stderr.write(`${String(error)}\n`);
      process.exit(1);
    },
  );
});
process.on('disconnect', () => process.exit());

async function carryOut({ task, into, key }: Order): Promise<Answer> {
  const { entries, size } = task.type === 'copy' ? await copied(task) : await deflated(task);
  const store = openFolderArchiveStore(into);
  const started = performance.now();
  const date = new Date('2026-01-01T00:00:00Z');
  const bytes = (nextMemory: () => Buffer) => writeZip(entries, { date, nextMemory });
  const written = await store.write(key, bytes, { mediaType: 'application/zip', size });
  const milliseconds = performance.now() - started;
  return { milliseconds, bytes: written.size, peakKilobytes: peakMemory() };
}

interface Entries {
  entries: AsyncIterable<ArchiveEntry[]>;
  size?: number;
}

async function copied({ listing: path, content }: Extract<Task, { type: 'copy' }>): Promise<Entries> {
  const listing = await readListed(path);
  const ending = new AbortController();
  const base = new URL('http://127.0.0.1/api/docsets/1');
  const client = createSourceClient({
    apiUrl: base,
    packagerKey: '',
    signal: ending.signal,
    resources: { contentFolder: content },
  });
  const length = createZipLength();
  for await (const members of listing.members()) {
    for (const { ref, files } of members) {
      const { size = 0, stored } = files[FORMAT] ?? {};
      length.add({ name: `${ref}.${FORMAT}`, size, stored: stored?.length ?? 0 });
    }
  }
  const documents = fetchDocuments(client, listing, { formats: [FORMAT], base, isReused: true });
  return { entries: storedEntries(documents), size: length.total() };
}

async function* storedEntries(documents: ReturnType<typeof fetchDocuments>): AsyncGenerator<ArchiveEntry[]> {
  for await (const batch of documents) {
    yield batch.map(({ member, files: [file] }) => {
      if (file?.type !== 'stored') throw new Error(`${member.ref} is not to be had from a segment`);
      const { data, size, stored, method, crc32 } = file;
      return { type: 'stored', name: `${member.ref}.${FORMAT}`, data, size, stored, method, crc32 };
    });
  }
}

/** A listing that lies in a file, kept as a packager keeps one. */
async function readListed(path: string): Promise<Listing> {
  const packed = createPackedMembers([FORMAT]);
  const segments = new Map<string, Segment>();
  let size = 0;
  for await (const line of createInterface({ input: createReadStream(path) })) {
    const read = parseLine(line, segments);
    if (read.type === 'segment') segments.set(read.segment.id, read.segment);
    if (read.type !== 'member') continue;
    packed.add(read.member);
    size += 1;
  }
  // eslint-disable-next-line @typescript-eslint/require-await -- the same type as a listing that is read again
  async function* members() {
    yield* packed.members();
  }
  const docset = { id: '1' } as Listing['docset'];
  return { docset, size, bytes: 0, storedBytes: 0, isStored: true, members, withdrawn: () => Readable.from([]) };
}

async function deflated({ refs: path, folder }: Extract<Task, { type: 'deflate' }>): Promise<Entries> {
  const refs = (await readFile(path, 'utf8')).trimEnd().split('\n');
  return { entries: contentsOf(refs, folder) };
}

/** Files one behind the other in memory that is used again for the next ones: the engine is done with short contents then. */
// eslint-disable-next-line @typescript-eslint/require-await -- a stream of what is read at once
async function* contentsOf(refs: readonly string[], folder: string): AsyncGenerator<ArchiveEntry[]> {
  const memory = Buffer.allocUnsafeSlow(FILES_TOGETHER * LONGEST_SHORT);
  for (let start = 0; start < refs.length; start += FILES_TOGETHER) {
    let at = 0;
    yield refs.slice(start, start + FILES_TOGETHER).map((ref) => {
      const name = `${ref}.${FORMAT}`;
      const content = readInto(memory.subarray(at), `${folder}/${name}`);
      at = Math.ceil((at + content.length) / WORD) * WORD;
      return { type: 'bytes', name, content };
    });
  }
}

/** They lie in memory, where a turn through another thread takes longer than the reading. */
function readInto(memory: Buffer, path: string): Buffer {
  const file = openSync(path, 'r');
  try {
    const length = readSync(file, memory, 0, memory.length, null);
    if (length >= LONGEST_SHORT) throw new RangeError(`${path} is too long to be deflated together with others`);
    return memory.subarray(0, length);
  } finally {
    closeSync(file);
  }
}

function peakMemory(): number {
  return Number(/VmHWM:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]);
}
