/** Dumps that nobody ever polls: queues and memory return to what they were by expiry alone. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import pMap from 'p-map';
import { waitUntil } from '../servers/wait-until.js';
import { startSingle } from './brokers.js';
import { onField, type Drill } from './drill.js';
import type { Field } from './field.js';
import { dumpOne, type Outcome } from './miners.js';
import { residentBytes } from './traces.js';

/** How many of them are asked for in the end. */
const SAMPLE = 50;
const AT_ONCE = 8;
/** Heap that the broker may have taken more than before, in bytes for each dump: what it keeps of a queue is some 12 kB. */
const MOST_HEAP_PER_DUMP = 500;
const MOST_HEAP = 8_000_000;
/** Of an api-server that has answered so many requests for the first time. */
const MOST_GROWTH = 150_000_000;

export const UNPOLLED: Drill = {
  name: 'never-polled',
  run: (context) =>
    onField(
      context,
      {
        startBroker: () => startSingle({ heapMiB: 512 }),
        documents: 2,
        storeBytesPerSecond: undefined,
        env: { EVENT_TTL: '20s', PACKAGER_CONCURRENCY: '4' },
        apiEnv: () => ({ DUMP_LEASE: '1s', VALIDATE_RESPONSES: 'false' }),
      },
      async (field) => {
        const faults: string[] = [];
        const heapBefore = await heapOf(field);
        const residentBefore = residentBytes(field.api.pid);
        const docsets = await askForAll(field, context.unpolled);
        let most = 0;
        await waitUntil(
          'all are made, and all queues are gone',
          async () => {
            const { permanent, progress } = await field.broker.status();
            most = Math.max(most, progress.queues);
            const waiting = permanent.reduce((sum, { statistics }) => sum + (statistics?.messages ?? 0), 0);
            return waiting === 0 && progress.queues === 0;
          },
          { deadlineMs: 1_800_000, pauseMs: 2_000 },
        );
        const heap = (await heapOf(field)) - heapBefore;
        if (heap > MOST_HEAP + MOST_HEAP_PER_DUMP * docsets.length)
          faults.push(`the broker's heap has grown by ${heap} bytes`);
        const resident = residentBytes(field.api.pid) - residentBefore;
        if (resident > MOST_GROWTH) faults.push(`the api-server has grown by ${resident} bytes`);
        const step = Math.max(1, Math.floor(docsets.length / SAMPLE));
        const sample = docsets.filter((_, index) => index % step === 0);
        const outcomes: Outcome[] = await pMap(sample, (docset) => dumpOne(field, docset), { concurrency: AT_ONCE });
        for (const { docset, end } of outcomes) {
          if (end.type !== 'successful') faults.push(`docset ${docset}: ${end.type}`);
        }
        const did = `${docsets.length} not polled, ${most} queues at once; broker's heap ${megabytes(heap)}, api-server ${megabytes(resident)}`;
        return { outcomes, faults, did, proof: { areUnpolled: true } };
      },
    ),
};

async function askForAll(field: Field, count: number): Promise<string[]> {
  return pMap(
    Array.from({ length: count }),
    async () => {
      const { id } = await field.miner.createDocset({ collection: 'texts', query: 'document' });
      await field.miner.requestDump(id, { formats: ['txt'] });
      return id;
    },
    { concurrency: AT_ONCE },
  );
}

/** Bytes of the broker's heap that something still refers to. */
async function heapOf({ broker }: Field): Promise<number> {
  const { stdout } = await promisify(execFile)('jcmd', [String(broker.pid()), 'GC.class_histogram'], {
    maxBuffer: 64 * 1024 * 1024,
  });
  const total = /^Total\s+\d+\s+(\d+)/m.exec(stdout)?.[1];
  if (total === undefined) throw new Error(`jcmd told no total: ${stdout.slice(0, 200)}`);
  return Number(total);
}

const megabytes = (bytes: number): string => `${bytes < 0 ? '' : '+'}${(bytes / 1e6).toFixed(1)} MB`;
