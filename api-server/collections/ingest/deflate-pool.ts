/** Worker threads that deflate files, so that an ingest neither waits for one core nor stops the event loop. */
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import type { NewFile } from './read-document.js';

/** A file as it goes into a segment. */
export interface PackedFile extends Omit<NewFile, 'bytes'> {
  /** Bytes of the content. */
  size: number;
  method: 'deflate' | 'store';
  /** Of the content. */
  crc32: number;
  stored: Buffer;
  storedSha256: string;
}

export interface DeflatePool {
  /** How many threads there are. */
  readonly size: number;
  deflate(files: readonly NewFile[]): Promise<PackedFile[]>;
  /** Ends the threads; what they were at work on is rejected. */
  close(): Promise<void>;
}

/** What the worker answers; its types are described there. */
interface Result {
  id: number;
  packed: Uint8Array;
  forms: { length: number; method: 'deflate' | 'store'; crc32: number; sha256: string }[];
}

interface Task {
  resolve: (result: Result) => void;
  reject: (error: Error) => void;
}

interface Thread {
  worker: Worker;
  tasks: Map<number, Task>;
}

const MOST_THREADS = 4;

/** Media types whose bytes are compressed already; PDF would come down to 93%. */
const COMPRESSED =
  /^(image\/(?!svg|bmp|tiff|x-)|audio\/(?!wav|x-wav|midi)|video\/|application\/(pdf|epub\+zip|zip|gzip|x-gzip|zstd|x-xz|x-bzip2?|x-7z-compressed|vnd\.(openxmlformats|oasis\.opendocument)))/i;

/** Threads are started when they are needed first. */
export function startDeflatePool(size = Math.min(MOST_THREADS, availableParallelism())): DeflatePool {
  const threads: Thread[] = [];
  let sent = 0;

  const leastBusy = (): Thread => {
    const idle = threads.find(({ tasks }) => tasks.size === 0);
    if (idle !== undefined) return idle;
    if (threads.length < size) {
      const started = startThread();
      threads.push(started);
      return started;
    }
    return threads.reduce((best, thread) => (thread.tasks.size < best.tasks.size ? thread : best));
  };

  return {
    size,
    async deflate(files) {
      const { worker, tasks } = leastBusy();
      const id = sent++;
      const packed = pack(files);
      const result = await new Promise<Result>((resolve, reject) => {
        tasks.set(id, { resolve, reject });
        const facts = files.map(({ bytes, mediaType }) => ({
          length: bytes.length,
          tryDeflate: !COMPRESSED.test(mediaType),
        }));
        worker.postMessage({ id, packed, files: facts }, [packed.buffer]);
      });
      return unpack(files, result);
    },
    async close() {
      await Promise.all(threads.splice(0).map(({ worker }) => worker.terminate()));
    },
  };
}

function startThread(): Thread {
  const worker = new Worker(new URL('./deflate-worker.mjs', import.meta.url));
  const tasks = new Map<number, Task>();
  worker.on('message', (result: Result) => {
    tasks.get(result.id)?.resolve(result);
    tasks.delete(result.id);
  });
  const giveUp = (error: Error): void => {
    for (const { reject } of tasks.values()) reject(error);
    tasks.clear();
  };
  worker.on('error', giveUp);
  worker.on('exit', () => giveUp(new Error('a thread that deflates has ended')));
  return { worker, tasks };
}

/** All contents in one buffer of their own. */
function pack(files: readonly NewFile[]): Uint8Array<ArrayBuffer> {
  const packed = new Uint8Array(files.reduce((sum, { bytes }) => sum + bytes.length, 0));
  let end = 0;
  for (const { bytes } of files) {
    packed.set(bytes, end);
    end += bytes.length;
  }
  return packed;
}

function unpack(files: readonly NewFile[], { packed, forms }: Result): PackedFile[] {
  let start = 0;
  return files.map(({ bytes, ...file }, index) => {
    const form = forms[index];
    if (form === undefined) throw new Error('a thread that deflates has lost a file');
    const stored = Buffer.from(packed.buffer, packed.byteOffset + start, form.length);
    start += form.length;
    const { method, crc32, sha256: storedSha256 } = form;
    return { ...file, size: bytes.length, method, crc32, stored, storedSha256 };
  });
}
