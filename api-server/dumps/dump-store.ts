/** Dumps in the database. */
import type { Knex } from 'knex';
import { PHASES, type Container, type Phase } from '../../queue-config/index.js';
import { isLive, newDump, type Archive, type Counts, type Dump, type Outcome, type Status } from './dump.js';
import { createDatabaseClock } from '../db/database-clock.js';
import type { FailureSlug } from './failures.js';
import type { Warning } from './warnings.js';

interface Row {
  id: string;
  docset_id: string;
  docset_revision: number;
  formats: string;
  container: Container;
  /** Empty: of the whole docset. */
  since: string;
  status: Status;
  attempt: number;
  published: Date | null;
  // bigint columns come as text.
  run: string | null;
  sequence: string | null;
  ticket_seed: string;
  ticketed: boolean;
  taken: Date | null;
  packager: string | null;
  warnings: (Omit<Warning, 'first' | 'last'> & { first: string; last: string })[];
  progress: number;
  phase: Phase | null;
  remaining_seconds: number | null;
  created: Date;
  started: Date | null;
  updated: Date;
  finished: Date | null;
  expires: Date | null;
  counts: Counts;
  timeline: { phase: Phase; started: string; ended?: string }[];
  archive: Archive | null;
  error: { code: FailureSlug; detail: string } | null;
  storage_freed: Date | null;
}

/** A row that was read, and when that was by the database's clock. */
interface ReadRow extends Row {
  read_at: Date;
}

const READ_AT = 'clock_timestamp() as read_at';

/** Of two requests sent within so many milliseconds it is not known which one came first. */
const ORDER_ALLOWANCE = 60_000;

const LIVE: Status[] = ['accepted', 'running'];

/** One of so many dumps that a miner may have made at a time. */
export interface Place {
  owner: string;
  limit: number;
}

export type Insertion =
  | { result: 'inserted'; dump: Dump }
  /** Somebody else has put one there a moment ago. */
  | { result: 'followed' }
  | { result: 'no-place'; place: Place };

export interface DumpStore {
  /** By the database's clock, as the dump that was read last told it: by it all api-servers judge whether a dump is silent. */
  now(): Date;
  /** The newest dump of a docset, or the newest of these formats, of this container, or relative to this one (null: to none). */
  newest(
    docset: string,
    wanted?: {
      formats?: string[] | undefined;
      container?: Container | undefined;
      since?: string | null | undefined;
    },
  ): Promise<Dump | undefined>;
  byId(id: string): Promise<Dump | undefined>;
  /** All dumps of a docset, newest first. */
  ofDocset(docset: string): Promise<Dump[]>;
  /** Those of a docset that somebody may still build, oldest first. */
  liveOf(docset: string): Promise<Dump[]>;
  /** Dumps that somebody may still build, and that are relative to a dump of this docset. */
  liveSince(docset: string): Promise<Dump[]>;
  /** Dumps of docsets that a miner owns, newest first, behind the one of that moment and id. */
  ofOwner(owner: string, limit: number, after?: Pick<Dump, 'created' | 'id'>): Promise<Dump[]>;
  /** Dumps of docsets that a miner owns, and that somebody may still build, oldest first. */
  liveOfOwner(owner: string): Promise<Dump[]>;
  /**
   * Changes a dump. A change is written only over what it was made from: where somebody else was quicker, it is made again.
   * @param change pure; answers the same dump where nothing is to change
   * @returns the dump as it was changed; undefined where it was not, or is not there
   */
  change(id: string, change: (current: Dump) => Dump): Promise<Dump | undefined>;
  /**
   * The same for the live dumps of a docset: all changes are written, or none.
   * @param change gets them oldest first, and answers them in that order
   * @returns those that were changed
   */
  changeLive(docset: string, change: (live: Dump[]) => Dump[]): Promise<Dump[]>;
  /** Adds a dump of the same docset, formats, container and `since` behind `newest`, and on disk. */
  insertAfter(newest: Dump | undefined, facts: Parameters<typeof newDump>[0], place?: Place): Promise<Insertion>;
  /** Notes that the broker has confirmed the request of this attempt. @returns false where the dump is no longer there */
  markPublished(dump: Pick<Dump, 'id' | 'attempt'>, now: Date): Promise<boolean>;
  /** Takes back a dump whose request never reached the broker. */
  deleteUnpublished(id: string): Promise<void>;
  markStorageFreed(id: string, now: Date): Promise<void>;
  /**
   * True where a request of the same queue that was sent later was taken before `latest`: requests are handed out in their order.
   * @param large above how many documents a request goes to the queue of large ones
   */
  isOvertaken(dump: Dump, latest: Date, large: number): Promise<boolean>;
}

export function createDumpStore(knex: Knex): DumpStore {
  const clock = createDatabaseClock();
  const toDump = ({ read_at, ...row }: ReadRow): Dump => {
    clock.learn(read_at);
    return dumpOf(row);
  };
  const dumps = (): Knex.QueryBuilder<Row, Row[]> => knex<Row, Row[]>('dumps');
  const read = (): Knex.QueryBuilder<Row, ReadRow[]> => dumps().select('dumps.*', knex.raw(READ_AT));
  return {
    now: () => clock.now(),
    async newest(docset, { formats, container, since } = {}) {
      const found = dumps().where('docset_id', docset).orderBy('created', 'desc').orderBy('id').limit(1);
      if (formats !== undefined) void found.where('formats', formats.join(','));
      if (container !== undefined) void found.where({ container });
      if (since !== undefined) void found.where('since', since ?? '');
      // A row in any case: before there is a dump, its time is wanted too.
      const { rows } = await knex.raw<{ rows: [ReadRow | (Record<keyof Row, null> & { read_at: Date })] }>(
        `select dumps.*, ${READ_AT} from (values (1)) as moment left join ? as dumps on true`,
        [found],
      );
      const [row] = rows;
      if (row.id !== null) return toDump(row);
      clock.learn(row.read_at);
      return undefined;
    },
    async byId(id) {
      const rows = await read().where('id', id);
      return rows[0] && toDump(rows[0]);
    },
    async ofDocset(docset) {
      return (await read().where('docset_id', docset).orderBy('created', 'desc')).map(toDump);
    },
    async liveOf(docset) {
      return (await read().where('docset_id', docset).whereIn('status', LIVE).orderBy('created')).map(toDump);
    },
    async liveSince(docset) {
      const rows = await read()
        .whereIn('status', LIVE)
        .whereIn('since', knex('dumps as earlier').select('earlier.id').where('earlier.docset_id', docset));
      return rows.map(toDump);
    },
    async ofOwner(owner, limit, after) {
      const query = read()
        .join('docsets', 'docsets.id', 'dumps.docset_id')
        .where('docsets.owner', owner)
        .orderBy([
          { column: 'dumps.created', order: 'desc' },
          { column: 'dumps.id', order: 'desc' },
        ])
        .limit(limit);
      if (after !== undefined) void query.whereRaw('(dumps.created, dumps.id) < (?, ?)', [after.created, after.id]);
      return (await query).map(toDump);
    },
    async liveOfOwner(owner) {
      const rows = await read()
        .join('docsets', 'docsets.id', 'dumps.docset_id')
        .where('docsets.owner', owner)
        .whereIn('dumps.status', LIVE)
        .orderBy('dumps.created');
      return rows.map(toDump);
    },
    async change(id, change) {
      const [changed] = await changeAll(knex, toDump, { id }, (found) => found.map(change));
      return changed;
    },
    changeLive: (docset, change) =>
      changeAll(knex, toDump, (query) => void query.where('docset_id', docset).whereIn('status', LIVE), change),
    async insertAfter(known, facts, place) {
      // The newest is told by its time, which the clocks of two api-servers must not turn round.
      const earliest = known === undefined ? 0 : known.created.getTime() + 1;
      const dump = newDump({ ...facts, now: new Date(Math.max(facts.now.getTime(), earliest)) });
      const row = { ...toRow(dump), follows: known?.id ?? '' };
      const { alive, id } = await insertInTurn(knex, row, place);
      if (id !== null) return { result: 'inserted', dump };
      return place !== undefined && alive >= place.limit ? { result: 'no-place', place } : { result: 'followed' };
    },
    async markPublished({ id, attempt }, now) {
      // What a crash forgets here is only published once more.
      const count = await inNoHurry(dumps().where({ id, attempt })).update({
        published: knex.raw('coalesce(published, ?)', [now]),
      });
      return count === 1;
    },
    async deleteUnpublished(id) {
      await knex('dumps').where({ id, attempt: 1 }).whereNull('published').whereIn('status', LIVE).delete();
    },
    async isOvertaken({ published, counts }, latest, large) {
      if (published === null) return false;
      const later = new Date(published.getTime() + ORDER_ALLOWANCE);
      const found = await dumps()
        .select('id')
        .whereNotNull('taken')
        .where('published', '>', later)
        .where('taken', '<', latest)
        .whereRaw(`(counts ->> 'requested')::bigint ${counts.requested > large ? '>' : '<='} ?`, [
          Number.isFinite(large) ? large : Number.MAX_SAFE_INTEGER,
        ])
        .limit(1);
      return found.length > 0;
    },
    async markStorageFreed(id, now) {
      await knex('dumps').where('id', id).update({ storage_freed: now });
    },
  };
}

/** Reads dumps, oldest first, and writes what `change` makes of them, until nobody comes in between. @returns the changed ones */
async function changeAll(
  knex: Knex,
  toDump: (row: ReadRow) => Dump,
  which: Partial<Row> | ((query: Knex.QueryBuilder) => void),
  change: (found: Dump[]) => Dump[],
): Promise<Dump[]> {
  for (;;) {
    // PostgreSQL's own number of the transaction that wrote the row: it tells whether the row is still the one that was read.
    const rows = await knex('dumps')
      .where(which as never)
      .orderBy('created')
      .select<(ReadRow & { version: string })[]>('*', knex.raw('xmin::text as version'), knex.raw(READ_AT));
    const before = rows.map(toDump);
    const changes = change(before).flatMap((dump, index) => {
      const [row, was] = [rows[index], before[index]];
      if (row === undefined || was === undefined || dump === was) return [];
      // The news of work under way is worth no wait for the disk: what a crash forgets of it, later news or the manifest tells.
      return [{ dump, version: row.version, isUrgent: !isLive(dump) || dump.attempt !== was.attempt }];
    });
    if (await writeAll(knex, changes)) return changes.map(({ dump }) => dump);
  }
}

interface Change {
  dump: Dump;
  /** Of the row that it was made from. */
  version: string;
  isUrgent: boolean;
}

/** @returns false where one of the rows is no longer of its version; then nothing was written */
async function writeAll(knex: Knex, changes: Change[]): Promise<boolean> {
  const write = async (db: Knex, { dump, version, isUrgent }: Change): Promise<boolean> => {
    const row = db('dumps').where('id', dump.id).whereRaw('xmin::text = ?', [version]);
    return (await (isUrgent ? row : inNoHurry(row)).update(toRow(dump))) === 1;
  };
  const [first] = changes;
  if (first === undefined) return true;
  if (changes.length === 1) return write(knex, first);
  const trx = await knex.transaction();
  for (const each of changes) {
    if (await write(trx, each)) continue;
    await trx.rollback();
    return false;
  }
  await trx.commit();
  return true;
}

/** The update is committed without a wait for the disk. */
function inNoHurry(query: Knex.QueryBuilder): Knex.QueryBuilder {
  const relaxed = "select set_config('synchronous_commit', 'off', true)";
  return query.withMaterialized('relaxed', (cte) => void cte.fromRaw(`(${relaxed}) as setting`)).updateFrom('relaxed');
}

/**
 * One statement. Where there is a limit, who asks for a dump for the same miner waits for the one before, and then counts right.
 * @returns the id, or null where nothing was inserted; `alive` is 0 where nobody counted
 */
async function insertInTurn(
  knex: Knex,
  row: Record<string, unknown>,
  place: Place | undefined,
): Promise<{ id: string | null; alive: number }> {
  const isCounted = place !== undefined && place.limit !== Infinity;
  const columns = Object.keys(row);
  const { rows } = await knex.raw<{ rows: [{ id: string | null; alive: string }] }>(
    `with turn as materialized (select ${isCounted ? 'turn_of_dumps(?)' : '0'} as alive),
     inserted as (
       insert into dumps (${columns.map(() => '??').join(', ')}) select ${columns.map(() => '?').join(', ')} from turn
       ${isCounted ? 'where alive < ?' : ''}
       on conflict (docset_id, formats, container, since, follows) do nothing
       returning id
     )
     select alive, (select id from inserted) as id from turn`,
    [
      ...(isCounted ? [place.owner] : []),
      ...columns,
      ...Object.values(row),
      ...(isCounted ? [place.limit] : []),
    ] as Knex.RawBinding[],
  );
  const [{ id, alive }] = rows;
  return { id, alive: Number(alive) };
}

function dumpOf(row: Row): Dump {
  return {
    id: row.id,
    docset: row.docset_id,
    docsetRevision: row.docset_revision,
    formats: row.formats.split(','),
    container: row.container,
    since: row.since === '' ? null : row.since,
    outcome: toOutcome(row),
    attempt: row.attempt,
    published: row.published,
    ticketSeed: row.ticket_seed,
    ticketed: row.ticketed,
    taken: row.taken,
    packager: row.packager,
    run: row.run === null ? null : Number(row.run),
    sequence: row.sequence === null ? null : Number(row.sequence),
    progress: row.progress,
    phase: PHASES.find((phase) => phase === row.phase) ?? null,
    remainingSeconds: row.remaining_seconds,
    created: row.created,
    started: row.started,
    updated: row.updated,
    counts: row.counts,
    timeline: row.timeline.map(({ phase, started, ended }) => ({
      phase,
      started: new Date(started),
      ended: ended === undefined ? undefined : new Date(ended),
    })),
    warnings: row.warnings.map((each) => ({ ...each, first: new Date(each.first), last: new Date(each.last) })),
    storageFreed: row.storage_freed,
  };
}

function toOutcome({ id, status, finished, expires, archive, error }: Row): Outcome {
  switch (status) {
    case 'accepted':
    case 'running':
      return { status };
    case 'successful':
    case 'expired':
      if (finished !== null && expires !== null && archive !== null) return { status, finished, expires, archive };
      break;
    case 'failed':
      if (finished !== null && error !== null) return { status, finished, error };
      break;
    case 'dismissed':
      if (finished !== null) return { status, finished };
  }
  throw new Error(`dump ${id} is ${status} in the database, but lacks what belongs to that state`);
}

function toRow({ outcome, ...dump }: Dump): Record<keyof Row, unknown> {
  return {
    id: dump.id,
    docset_id: dump.docset,
    docset_revision: dump.docsetRevision,
    formats: dump.formats.join(','),
    container: dump.container,
    since: dump.since ?? '',
    status: outcome.status,
    attempt: dump.attempt,
    published: dump.published,
    ticket_seed: dump.ticketSeed,
    ticketed: dump.ticketed,
    taken: dump.taken,
    packager: dump.packager,
    warnings: JSON.stringify(dump.warnings),
    run: dump.run,
    sequence: dump.sequence,
    progress: dump.progress,
    phase: dump.phase,
    remaining_seconds: dump.remainingSeconds,
    created: dump.created,
    started: dump.started,
    updated: dump.updated,
    finished: 'finished' in outcome ? outcome.finished : null,
    expires: 'expires' in outcome ? outcome.expires : null,
    counts: JSON.stringify(dump.counts),
    timeline: JSON.stringify(dump.timeline),
    archive: 'archive' in outcome ? JSON.stringify(outcome.archive) : null,
    error: 'error' in outcome ? JSON.stringify(outcome.error) : null,
    storage_freed: dump.storageFreed,
  };
}
