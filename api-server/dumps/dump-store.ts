/** Dumps in the database. */
import type { Knex } from 'knex';
import { PHASES, type Container, type Phase } from '../../queue-config/index.js';
import { DOCSET_FACTS, type DocsetFactsRow } from '../docsets/docsets.js';
import { isLive, newDump, type Archive, type Counts, type Dump, type Outcome, type Status } from './dump.js';
import { createDatabaseClock } from '../db/database-clock.js';
import { prepared } from '../db/prepared.js';
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

/** By their names: a prepared statement must not change when a migration adds one. */
const COLUMNS = Object.keys({
  id: true,
  docset_id: true,
  docset_revision: true,
  formats: true,
  container: true,
  since: true,
  status: true,
  attempt: true,
  published: true,
  run: true,
  sequence: true,
  ticket_seed: true,
  ticketed: true,
  taken: true,
  packager: true,
  warnings: true,
  progress: true,
  phase: true,
  remaining_seconds: true,
  created: true,
  started: true,
  updated: true,
  finished: true,
  expires: true,
  counts: true,
  timeline: true,
  archive: true,
  error: true,
  storage_freed: true,
} satisfies Record<keyof Row, true>)
  .map((column) => `dumps.${column}`)
  .join(', ');

/** PostgreSQL's own number of the transaction that wrote the row: it tells whether the row is still the one that was read. */
const VERSION = 'dumps.xmin::text as version';

/** A row that may not be there. */
type FoundRow = ReadRow | (Record<keyof Row, null> & { read_at: Date | null });

const READ_AT = 'clock_timestamp() as read_at';

/** Of two requests sent within so many milliseconds it is not known which one came first. */
const ORDER_ALLOWANCE = 60_000;

const LIVE: Status[] = ['accepted', 'running'];

/** The facts of a docset, and its newest dump; null throughout where there is none. */
export type LookUpRow = DocsetFactsRow & FoundRow & { version: string | null };

/** What dumps are looked for; what is left out may be anything. */
export interface Wanted {
  formats?: string[] | undefined;
  container?: Container | undefined;
  /** Relative to this dump; null: to none. */
  since?: string | null | undefined;
}

/** One of so many dumps that a miner may have made at a time. */
export interface Place {
  owner: string;
  limit: number;
}

export type Insertion =
  | { result: 'inserted'; dump: Dump }
  /** Somebody else has put one there a moment ago. */
  | { result: 'followed' }
  /** None of the docset's documents has one of the formats. */
  | { result: 'empty' }
  | { result: 'no-place'; place: Place };

export interface InsertionTerms {
  place?: Place | undefined;
  /** Only where it would hold something. */
  holding?: boolean;
}

export interface DumpStore {
  /** By the database's clock, as the dump that was read last told it: by it all api-servers judge whether a dump is silent. */
  now(): Date;
  /** The newest dump of a docset that is wanted. */
  newest(docset: string, wanted?: Wanted): Promise<Dump | undefined>;
  /** The query for a docset, and for its newest dump that is wanted: one row, or none where there is no such docset. */
  lookUp(docset: string, wanted: Wanted): Knex.QueryBuilder<object, LookUpRow[]>;
  /** The dump in what {@link lookUp} found just now. */
  foundBy(row: LookUpRow): Dump | undefined;
  byId(id: string): Promise<Dump | undefined>;
  /** The dump as it is now, which is most often as it was looked up. */
  renewed(known: Dump): Promise<Dump>;
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
   * @param known the dump as it was looked up a moment ago: it need not be read once more, as long as nobody has changed it
   * @returns the dump as it was changed; undefined where it was not, or is not there
   */
  change(id: string, change: (current: Dump) => Dump, known?: Dump): Promise<Dump | undefined>;
  /**
   * The same for the live dumps of a docset: all changes are written, or none.
   * @param change gets them oldest first, and answers them in that order
   * @returns those that were changed
   */
  changeLive(docset: string, change: (live: Dump[]) => Dump[]): Promise<Dump[]>;
  /** Adds a dump of the same docset, formats, container and `since` behind `newest`, and on disk. */
  insertAfter(
    newest: Dump | undefined,
    facts: Parameters<typeof newDump>[0],
    terms?: InsertionTerms,
  ): Promise<Insertion>;
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
  const read = (): Knex.QueryBuilder<Row, ReadRow[]> => dumps().select(knex.raw(`${COLUMNS}, ${READ_AT}`));
  const newestOf = (docset: string | Knex.Ref<string, Record<string, string>>, wanted: Wanted): Knex.QueryBuilder => {
    const { formats, container, since } = wanted;
    const query = dumps().where('docset_id', docset).orderBy('created', 'desc').orderBy('id').limit(1);
    if (formats !== undefined) void query.where('formats', formats.join(','));
    if (container !== undefined) void query.where({ container });
    if (since !== undefined) void query.where('since', since ?? '');
    return query;
  };
  /** Of the rows that dumps were looked up in. */
  const versions = new WeakMap<Dump, string>();
  const found = (row: FoundRow): Dump | undefined => {
    if (row.id !== null) return toDump(row);
    if (row.read_at !== null) clock.learn(row.read_at);
    return undefined;
  };
  /** Oldest first. */
  const readVersions = async (which: (query: Knex.QueryBuilder) => Knex.QueryBuilder): Promise<Version[]> => {
    const query = which(read()).orderBy('created').select(knex.raw(VERSION));
    const rows = (await prepared(query)) as (ReadRow & { version: string })[];
    return rows.map(({ version, ...row }) => ({ dump: toDump(row), version }));
  };
  return {
    now: () => clock.now(),
    async newest(docset, wanted = {}) {
      // A row in any case: before there is a dump, its time is wanted too.
      const { rows } = await knex.raw<{ rows: [FoundRow] }>(
        `select dumps.*, ${READ_AT} from (values (1)) as moment left join ? as dumps on true`,
        [newestOf(docset, wanted)],
      );
      return found(rows[0]);
    },
    lookUp(docset, wanted) {
      return knex('docsets as s')
        .leftJoin(
          knex.raw('lateral ? as newest', [
            newestOf(knex.ref('s.id'), wanted).select(knex.raw(`${COLUMNS}, ${VERSION}`)),
          ]),
          knex.raw('true'),
        )
        .where('s.id', docset)
        .select<LookUpRow[]>(DOCSET_FACTS, 'newest.*', knex.raw(READ_AT));
    },
    foundBy(row) {
      const dump = found(row);
      if (dump !== undefined && row.version !== null) versions.set(dump, row.version);
      return dump;
    },
    async byId(id) {
      const rows = await prepared(read().where('id', id));
      return rows[0] && toDump(rows[0]);
    },
    async renewed(known) {
      const query = read().where('id', known.id);
      const version = versions.get(known);
      // Nothing comes where it still is of that version: a row has thirty columns to send and to read.
      if (version !== undefined) void query.whereRaw('dumps.xmin::text <> ?', [version]);
      const rows = await prepared(query);
      return rows[0] === undefined ? known : toDump(rows[0]);
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
    async change(id, change, known) {
      const version = known && versions.get(known);
      const first = known === undefined || version === undefined ? undefined : [{ dump: known, version }];
      const readAgain = () => readVersions((query) => query.where({ id }));
      const [changed] = await changeAll(knex, readAgain, (dumps) => dumps.map(change), first);
      return changed;
    },
    changeLive(docset, change) {
      return changeAll(
        knex,
        () => readVersions((query) => query.where('docset_id', docset).whereIn('status', LIVE)),
        change,
      );
    },
    async insertAfter(known, facts, { place, holding = false } = {}) {
      // The newest is told by its time, which the clocks of two api-servers must not turn round.
      const earliest = known === undefined ? 0 : known.created.getTime() + 1;
      const dump = newDump({ ...facts, now: new Date(Math.max(facts.now.getTime(), earliest)) });
      const row = { ...toRow(dump), follows: known?.id ?? '' };
      const { alive, id, holds } = await insertInTurn(knex, row, { place, holding });
      if (id !== null) return { result: 'inserted', dump };
      if (!holds) return { result: 'empty' };
      return place !== undefined && alive >= place.limit ? { result: 'no-place', place } : { result: 'followed' };
    },
    async markPublished({ id, attempt }, now) {
      // What a crash forgets here is only published once more.
      const published = knex.raw('coalesce(published, ?)', [now]);
      const count = await prepared(inNoHurry(dumps().where({ id, attempt })).update({ published }));
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

/** A dump as it was read. */
interface Version {
  dump: Dump;
  /** Of its row. */
  version: string;
}

/**
 * Writes what `change` makes of dumps, until nobody comes in between.
 * @param first what they were a moment ago; without it they are read first of all
 * @returns the changed ones
 */
async function changeAll(
  knex: Knex,
  readAgain: () => Promise<Version[]>,
  change: (found: Dump[]) => Dump[],
  first?: Version[],
): Promise<Dump[]> {
  for (let before = first ?? (await readAgain()); ; before = await readAgain()) {
    const changes = change(before.map(({ dump }) => dump)).flatMap((dump, index) => {
      const was = before[index];
      if (was === undefined || dump === was.dump) return [];
      // The news of work under way is worth no wait for the disk: what a crash forgets of it, later news or the manifest tells.
      return [{ dump, version: was.version, isUrgent: !isLive(dump) || dump.attempt !== was.dump.attempt }];
    });
    if (await writeAll(knex, changes)) return changes.map(({ dump }) => dump);
  }
}

interface Change extends Version {
  isUrgent: boolean;
}

/** @returns false where one of the rows is no longer of its version; then nothing was written */
async function writeAll(knex: Knex, changes: Change[]): Promise<boolean> {
  const write = async (db: Knex, { dump, version, isUrgent }: Change): Promise<boolean> => {
    const row = db('dumps').where('id', dump.id).whereRaw('xmin::text = ?', [version]);
    return (await prepared((isUrgent ? row : inNoHurry(row)).update(toRow(dump)))) === 1;
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
 * @returns the id, or null where nothing was inserted; `alive` is 0 and `holds` true where nobody looked
 */
async function insertInTurn(
  knex: Knex,
  row: ReturnType<typeof toRow> & { follows: string },
  { place, holding }: InsertionTerms,
): Promise<{ id: string | null; alive: number; holds: boolean }> {
  const counted = place === undefined || place.limit === Infinity ? undefined : place;
  const columns = Object.keys(row);
  const insert = knex.raw<{ rows: [{ id: string | null; alive: string; holds: boolean }] }>(
    `with turn as materialized (
       select ${counted ? 'turn_of_dumps(:owner)' : '0'} as alive, ${holding ? HOLDS : 'true'} as holds
     ),
     inserted as (
       insert into dumps (${columns.join(', ')}) select ${columns.map((column) => `:${column}`).join(', ')} from turn
       where holds ${counted ? 'and alive < :limit' : ''}
       on conflict (docset_id, formats, container, since, follows) do nothing
       returning id
     )
     select alive, holds, (select id from inserted) as id from turn`,
    { ...row, ...(counted && { owner: counted.owner, limit: counted.limit }) } as Record<string, Knex.Value>,
  );
  const { rows } = await prepared(insert);
  const [{ id, alive, holds }] = rows;
  return { id, alive: Number(alive), holds };
}

/** At least one member has to have one of the formats; that others lack some is told in the archive's `omitted.csv`. */
const HOLDS = `exists (
  select 1 from docset_members as m join files as f on f.document_id = m.document_id
  where m.docset_id = :docset_id and f.format = any(string_to_array(:formats, ','))
)`;

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
