/** Reads segments that lie on this machine: embedded, or with the api-server's content folder in reach. */
import { open, type FileHandle } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Segment } from './members.js';
import type { RangeOutcome } from './segment-access.js';

export interface SegmentFiles {
  /** Fills `into` from that offset. Undefined where the segment does not lie here. */
  read(segment: Segment, offset: number, into: Buffer): Promise<RangeOutcome | undefined>;
  /** Files that are still being read are closed after that. */
  close(): Promise<void>;
}

/** Kept open; more are open only while they are read. */
const OPEN_FILES = 16;
/** What a key of the content store looks like; any other could lead out of the folder. */
const KEY = /^segments(\/[A-Za-z0-9_-][A-Za-z0-9._-]*)+$/;

interface OpenFile {
  /** Undefined where there is no such file, or another one than was announced. */
  file: Promise<FileHandle | undefined>;
  readers: number;
}

export function openSegmentFiles(folder: string): SegmentFiles {
  /** By key, the least recently used first. */
  const files = new Map<string, OpenFile>();
  let kept = OPEN_FILES;

  const acquire = ({ key, size }: Segment): OpenFile => {
    const found = files.get(key) ?? { file: openWhole(join(resolve(folder), key), size), readers: 0 };
    files.delete(key);
    files.set(key, found);
    found.readers += 1;
    return found;
  };

  const closeUnused = async (): Promise<void> => {
    for (const [key, { file, readers }] of files) {
      if (files.size <= kept) return;
      if (readers > 0) continue;
      files.delete(key);
      await (await file)?.close();
    }
  };

  return {
    async read(segment, offset, into) {
      if (!KEY.test(segment.key)) return undefined;
      const used = acquire(segment);
      try {
        const file = await used.file;
        return file && (await readFully(file, offset, into));
      } finally {
        used.readers -= 1;
        await closeUnused();
      }
    },
    async close() {
      kept = 0;
      await closeUnused();
    },
  };
}

async function openWhole(path: string, size: number): Promise<FileHandle | undefined> {
  const file = await open(path, 'r').catch(() => undefined);
  if (file === undefined) return undefined;
  const found = await file.stat().catch(() => undefined);
  if (found?.isFile() === true && found.size === size) return file;
  await file.close();
  return undefined;
}

async function readFully(file: FileHandle, offset: number, into: Buffer): Promise<RangeOutcome> {
  const { length } = into;
  for (let filled = 0; filled < length;) {
    const read = await file.read(into, filled, length - filled, offset + filled).catch(() => undefined);
    if (read === undefined) return 'unreadable';
    if (read.bytesRead === 0) return 'corrupt';
    filled += read.bytesRead;
  }
  return 'read';
}
