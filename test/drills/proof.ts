/** What has to be true after every drill, whatever was done in it. */
import { withDatabase } from '../acceptance/service.js';
import { waitUntil } from '../servers/wait-until.js';
import type { Field } from './field.js';
import { connectionsOf, connectionsTo, filesBelow, processesWith } from './traces.js';

/** Fences and unread events expire within a minute, their queue goes soon after that. */
const UNTIL_EXPIRED = 120_000;
const SOON = 60_000;
/** A packager listens to package requests, to those of large docsets, and to delete requests. */
const CONSUMERS = 3;

interface DumpRow {
  id: string;
  docset_id: string;
  status: string;
  attempt: number;
  archive: { key: string } | null;
  timeline: { phase: string; started: string; ended?: string }[];
  counts: { requested: number; packed: number; omitted: number };
}

export interface ProofOptions {
  /** How many dumps of a docset there have to be; one where nothing is said. */
  dumpsOf?: (docset: string) => number;
  /** Where most dumps were never polled, and stay what they were. */
  areUnpolled?: boolean;
  /** Dead letters that there have to be. */
  deadLetters?: number;
}

/** While the service still runs. @returns what is not as it has to be, in sentences */
export async function proveAtRest(field: Field, options: ProofOptions = {}): Promise<string[]> {
  const faults: string[] = [];
  const check = async (what: string, look: () => Promise<string | undefined>, deadlineMs: number): Promise<void> => {
    let last: string | undefined = 'it was never looked at';
    await waitUntil(
      what,
      async () => {
        last = await look();
        return last === undefined;
      },
      { deadlineMs, pauseMs: 250 },
    ).catch((error: unknown) => {
      const cause = error instanceof Error && error.cause instanceof Error ? ` (${error.cause.message})` : '';
      faults.push(`${what}: ${last ?? ''}${cause}`);
    });
  };
  for (const one of [field.api, ...field.packagers]) {
    if (!one.running()) faults.push(`a process has ended by itself:\n${one.log().slice(-2_000)}`);
  }
  const rows = await withDatabase(field.service, (knex) => knex<DumpRow>('dumps').orderBy('created'));
  faults.push(...faultsOfRows(rows, options));
  await check('work queues are empty', () => workQueues(field, options.deadLetters ?? 0), SOON);
  await check('no upload is unfinished', () => unfinished(field), SOON);
  if (options.areUnpolled !== true) {
    await check('each dump has one archive, one manifest, and nothing else', () => stored(field, rows), SOON);
  }
  await check('progress queues are gone', () => progressQueues(field), UNTIL_EXPIRED);
  await check(
    'between polls no connection of the api-server to the broker stands',
    () => apiServerConnections(field),
    SOON,
  );
  await check('packagers have a connection for each consumer', () => packagerConnections(field), SOON);
  return faults;
}

/** What the processes of the service have logged as errors, each kind once: for finding out why. */
export function errorsLogged(field: Field): string[] {
  const found = new Map<string, string>();
  for (const line of field.logs().split('\n')) {
    if (!/^\{"level":[56]0,/.test(line)) continue;
    const { msg, err } = JSON.parse(line) as { msg?: string; err?: { stack?: string } };
    found.set(`${msg ?? ''}: ${(err?.stack ?? line).slice(0, 1_500)}`, line);
  }
  return [...found.keys()].slice(0, 8);
}

/** Once everything was told to stop. */
export async function proveGone(field: Field): Promise<string[]> {
  const faults: string[] = [];
  await waitUntil('processes are gone', () => processesWith('ADIT_DRILL', field.mark).length === 0).catch(() =>
    faults.push(`processes are left: ${processesWith('ADIT_DRILL', field.mark).join(', ')}`),
  );
  const ports = [field.storeLine.port, ...field.broker.ports, Number(new URL(field.url).port)];
  await waitUntil('connections are gone', () => connectionsTo(ports).valueOf() === 0).catch(() =>
    faults.push(`${connectionsTo(ports)} connections are left`),
  );
  const files = [field.temporary, field.service.stores.env['DATA_DIR'] ?? ''].flatMap(filesBelow);
  if (files.length > 0) faults.push(`files are left: ${files.slice(0, 5).join(', ')}`);
  return faults;
}

function faultsOfRows(rows: readonly DumpRow[], { dumpsOf = () => 1, areUnpolled = false }: ProofOptions): string[] {
  const faults: string[] = [];
  const ofDocset = new Map<string, number>();
  for (const { id, docset_id, status, attempt, timeline, counts } of rows) {
    ofDocset.set(docset_id, (ofDocset.get(docset_id) ?? 0) + 1);
    if (!areUnpolled && (status === 'accepted' || status === 'running')) faults.push(`dump ${id} is ${status}`);
    if (attempt > 3) faults.push(`dump ${id} was asked for ${attempt} times`);
    const phases = timeline.map(({ phase }) => phase);
    if (new Set(phases).size !== phases.length) faults.push(`dump ${id} has a phase twice: ${phases.join(', ')}`);
    if (status !== 'successful') continue;
    if (phases.join() !== 'listing,packaging,uploading,verifying') {
      faults.push(`dump ${id} has the phases ${phases.join(', ')}`);
    }
    const isInOrder = timeline.every(
      ({ started, ended = '' }, index) => started <= ended && (timeline[index - 1]?.ended ?? '') <= started,
    );
    if (!isInOrder) faults.push(`the phases of dump ${id} are not one after the other: ${JSON.stringify(timeline)}`);
    if (counts.requested !== counts.packed + counts.omitted) faults.push(`dump ${id} counts ${JSON.stringify(counts)}`);
  }
  for (const [docset, count] of ofDocset) {
    if (count !== dumpsOf(docset)) faults.push(`docset ${docset} has ${count} dumps instead of ${dumpsOf(docset)}`);
  }
  return faults;
}

async function workQueues({ broker }: Field, deadLetters: number): Promise<string | undefined> {
  const { permanent, deadLetters: letters, strays } = await broker.status();
  const full = permanent.filter(
    ({ queue, statistics }) =>
      (statistics?.messages ?? 0) + (statistics?.inFlight ?? 0) > 0 && queue !== '/queue/docsets/dead',
  );
  if (full.length > 0) return full.map(({ queue, statistics }) => `${queue} has ${statistics?.messages}`).join(', ');
  if (letters.length !== deadLetters) return `dead letters: ${JSON.stringify(letters.slice(0, 3))}`;
  return strays === 0 ? undefined : `the broker itself put ${strays} messages aside`;
}

async function unfinished({ service }: Field): Promise<string | undefined> {
  const keys = await service.stores.unfinished();
  return keys.length === 0 ? undefined : keys.join(', ');
}

/** In the order of what is there: keys that should be, and are not, after those that should not be, and are. */
async function stored({ service }: Field, rows: readonly DumpRow[]): Promise<string | undefined> {
  const wanted = new Set(
    rows.flatMap(({ status, archive }) =>
      status === 'successful' && archive !== null ? [archive.key, archive.key.replace(/[^/]*$/, 'manifest.json')] : [],
    ),
  );
  const found = await service.stores.keys('dumps/');
  const surplus = found.filter((key) => !wanted.has(key));
  const missing = [...wanted].filter((key) => !found.includes(key));
  if (surplus.length + missing.length === 0) return undefined;
  return `surplus: ${surplus.join(', ') || 'none'}; missing: ${missing.join(', ') || 'none'}`;
}

async function progressQueues({ broker }: Field): Promise<string | undefined> {
  const { progress } = await broker.status();
  return progress.queues === 0 ? undefined : `${progress.queues} with ${progress.messages} messages`;
}

function apiServerConnections({ api, broker }: Field): Promise<string | undefined> {
  const count = connectionsOf(api.pid, broker.ports);
  return Promise.resolve(count === 0 ? undefined : String(count));
}

function packagerConnections({ packagers, broker }: Field): Promise<string | undefined> {
  const counts = packagers.map(({ pid }) => connectionsOf(pid, broker.ports));
  return Promise.resolve(counts.every((count) => count === CONSUMERS) ? undefined : counts.join(', '));
}
