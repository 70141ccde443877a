/** A broker whose memory or disk is full: whoever sends is told so at once, and nothing hangs. */
import { execFile } from 'node:child_process';
import { mkdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { connectStomp, type StompPeer } from '../servers/stomp-peer.js';
import { makeRunFolder } from '../servers/run-folder.js';
import { startSingle } from './brokers.js';
import { conclude, onField, type Drill, type DrillContext } from './drill.js';
import type { Field } from './field.js';
import { dumpAll, makeDocsets } from './miners.js';

const MIB = 1024 * 1024;
/** A kick-off that a full broker refuses is answered within this, in milliseconds: it waits three seconds for room itself. */
const MOST_WAIT = 15_000;

export const FULL_BROKERS: readonly Drill[] = [
  {
    name: 'broker-store-full',
    run: (context) =>
      onField(context, { startBroker: () => startSingle({ settings: { disk: '64 mb' } }) }, (field) =>
        whileFull(field, context, () => fillStore(field)),
      ),
  },
  {
    name: 'broker-disk-full',
    async run(context) {
      const disk = await mountDisk(160);
      try {
        return await onField(context, { startBroker: () => startSingle({ dataFolder: disk.path }) }, (field) =>
          whileFull(field, context, () => Promise.resolve(fillDisk(disk.path))),
        );
      } finally {
        await disk.remove();
      }
    },
  },
];

/** Half of the dumps are asked for, and are being made, when it becomes full; the other half once it is. */
async function whileFull(
  field: Field,
  { dumps }: DrillContext,
  fill: () => Promise<() => Promise<void>>,
): Promise<Awaited<ReturnType<typeof conclude>> & { did: string }> {
  const docsets = await makeDocsets(field, dumps);
  const half = Math.floor(docsets.length / 2);
  const early = dumpAll(field, docsets.slice(0, half));
  const empty = await fill();
  const faults: string[] = [];
  const refused = await askUntilRefused(field, docsets.slice(half));
  if (refused === undefined) faults.push('a full broker took every kick-off');
  else if (refused.took > MOST_WAIT) faults.push(`a kick-off was answered only after ${refused.took.toFixed(0)} ms`);
  const late = dumpAll(field, docsets.slice(half));
  await empty();
  const concluded = await conclude(field, [...(await early), ...(await late)], ['packager-lost']);
  const did = `kick-off ${refused?.number ?? 0} answered 503 after ${((refused?.took ?? 0) / 1000).toFixed(1)} s`;
  return { ...concluded, faults: [...faults, ...concluded.faults], did };
}

/**
 * Kick-offs until one is answered 503: some may still fit into what the broker had begun to fill.
 * @returns which one that was, from 1, and how many milliseconds it took; undefined where all were taken
 */
async function askUntilRefused(
  { url, minerKey }: Field,
  docsets: readonly string[],
): Promise<{ number: number; took: number } | undefined> {
  for (const [index, docset] of docsets.entries()) {
    const started = performance.now();
    const answer = await fetch(`${url}/api/docsets/${docset}/dump?fmt=txt`, {
      method: 'POST',
      headers: { 'X-API-Key': minerKey },
    });
    const text = await answer.text();
    if (answer.status === 503) return { number: index + 1, took: performance.now() - started };
    if (answer.status !== 202) throw new Error(`a kick-off was answered ${answer.status}: ${text}`);
  }
  return undefined;
}

/** Messages that take all that the journal may have. @returns what takes them away again */
async function fillStore({ broker }: Field): Promise<() => Promise<void>> {
  const destination = '/queue/docsets/check/filling';
  const send = await connectStomp(broker.url('operator'));
  await untilRefused(send, destination);
  send.destroy();
  return async () => {
    const take = await connectStomp(broker.url('operator'));
    try {
      await take.request('SUBSCRIBE', { id: '1', destination, ack: 'auto' });
      for (;;) await take.message(2_000);
    } catch {
      // That was all of them.
    } finally {
      take.destroy();
    }
  };
}

async function untilRefused(peer: StompPeer, destination: string): Promise<void> {
  const body = 'x'.repeat(MIB / 2);
  try {
    for (let sent = 0; sent < 1_000; sent++) await peer.request('SEND', { destination, persistent: 'true' }, body);
  } catch {
    return;
  }
  throw new Error('the broker took 500 MB');
}

/** A file that takes what is left of the disk. @returns what takes it away again */
function fillDisk(path: string): () => Promise<void> {
  const file = join(path, 'filling');
  const { bavail, bsize } = statfsSync(path);
  try {
    writeFileSync(file, Buffer.alloc(bavail * bsize));
  } catch (error) {
    // The broker was quicker: it is full all the same.
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
  }
  return () => {
    rmSync(file);
    return Promise.resolve();
  };
}

/** A disk of its own, in memory. Needs root. */
async function mountDisk(mib: number): Promise<{ path: string; remove(): Promise<void> }> {
  const folder = makeRunFolder('disk');
  const path = join(folder.path, 'disk');
  mkdirSync(path);
  await promisify(execFile)('mount', ['-t', 'tmpfs', '-o', `size=${mib}m`, 'adit-drill', path]);
  return {
    path,
    async remove() {
      await promisify(execFile)('umount', [path]);
      folder.remove();
    },
  };
}
