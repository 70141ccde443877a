/** Dumps in the database. */
import type { Knex } from 'knex';
import { PHASES, type Container, type Phase } from '../../queue-config/index.js';
import { newDump, type Archive, type Counts, type Dump, type Outcome, type Status } from './dump.js';
import type { FailureSlug } from './failures.js';

interface Row {
  id: string;
  docset_id: string;
  docset_revision: number;
  formats: string;
  container: Container;
  status: Status;
  attempt: number;
  published: Date | null;
  // bigint columns come as text.
  run: string | null;
  sequence: string | null;
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

const LIVE: Status[] = ['accepted', 'running'];

export interface DumpStore {
  /** The newest dump of a docset, or the newest of these formats, or of this container. */
  newest(
    docset: string,
    wanted?: { formats?: string[] | undefined; container?: Container | undefined },
  ): Promise<Dump | undefined>;
  byId(id: string): Promise<Dump | undefined>;
  /** All dumps of a docset, newest first. */
  ofDocset(docset: string): Promise<Dump[]>;
  /** Dumps of docsets that a miner owns, newest first. */
  ofOwner(owner: string, limit: number): Promise<Dump[]>;
  /**
   * Runs `work` while it holds the docset's row, so that every change to the dumps of a docset has its turn.
   * @returns what `work` returns, once it is committed
   */
  withDocsetLocked<T>(docset: string, work: (dumps: LockedDumps) => Promise<T>): Promise<T>;
  /**
   * Adds a dump of the same docset, formats and container behind `newest`, and on disk.
   * @returns undefined where somebody else has just done so
   */
  insertAfter(newest: Dump | undefined, facts: Parameters<typeof newDump>[0]): Promise<Dump | undefined>;
  /** Notes that the broker has confirmed the request of this attempt. @returns false where the dump is no longer there */
  markPublished(dump: Pick<Dump, 'id' | 'attempt'>, now: Date): Promise<boolean>;
  /** Takes back a dump whose request never reached the broker. */
  deleteUnpublished(id: string): Promise<void>;
  markStorageFreed(id: string, now: Date): Promise<void>;
}

/** The dumps of one docset, under its lock. */
export interface LockedDumps {
  /** Live dumps, oldest first. */
  live(): Promise<Dump[]>;
  ofId(id: string): Promise<Dump | undefined>;
  /** Writes what polls change. Not `published` and `storageFreed`, which are noted outside the lock. */
  update(dump: Dump): Promise<void>;
  /** Writes a dump that is to be asked for again. */
  renew(dump: Dump): Promise<void>;
}

export function createDumpStore(knex: Knex): DumpStore {
  const dumps = (db: Knex = knex): Knex.QueryBuilder<Row, Row[]> => db<Row, Row[]>('dumps');
  return {
    async newest(docset, { formats, container } = {}) {
      const query = dumps().where('docset_id', docset).orderBy('created', 'desc').orderBy('id').limit(1);
      if (formats !== undefined) void query.where('formats', formats.join(','));
      if (container !== undefined) void query.where({ container });
      const rows = await query;
      return rows[0] && toDump(rows[0]);
    },
    async byId(id) {
      const rows = await dumps().where('id', id);
      return rows[0] && toDump(rows[0]);
    },
    async ofDocset(docset) {
      return (await dumps().where('docset_id', docset).orderBy('created', 'desc')).map(toDump);
    },
    async ofOwner(owner, limit) {
      const rows = await dumps()
        .select('dumps.*')
        .join('docsets', 'docsets.id', 'dumps.docset_id')
        .where('docsets.owner', owner)
        .orderBy('dumps.created', 'desc')
        .limit(limit);
      return (rows as Row[]).map(toDump);
    },
    withDocsetLocked: (docset, work) =>
      knex.transaction(async (trx) => {
        await trx('docsets').select('id').where('id', docset).forUpdate();
        return work({
          live: async () =>
            (await dumps(trx).where('docset_id', docset).whereIn('status', LIVE).orderBy('created')).map(toDump),
          async ofId(id) {
            const rows = await dumps(trx).where('id', id);
            return rows[0] && toDump(rows[0]);
          },
          async update(dump) {
            await trx('dumps').where('id', dump.id).update(changesOf(dump));
          },
          async renew(dump) {
            await trx('dumps').where('id', dump.id).update(toRow(dump));
          },
        });
      }),
    async insertAfter(known, facts) {
      // The newest is told by its time, which the clocks of two api-servers must not turn round.
      const earliest = known === undefined ? 0 : known.created.getTime() + 1;
      const dump = newDump({ ...facts, now: new Date(Math.max(facts.now.getTime(), earliest)) });
      const rows = await knex('dumps')
        .insert({ ...toRow(dump), follows: known?.id ?? '' })
        .onConflict(['docset_id', 'formats', 'container', 'follows'])
        .ignore()
        .returning<{ id: string }[]>('id');
      return rows.length === 0 ? undefined : dump;
    },
    async markPublished({ id, attempt }, now) {
      // Not worth a wait for the disk: what a crash forgets here is only published once more.
      const { rows } = await knex.raw<{ rows: unknown[] }>(
        `with relaxed as (select set_config('synchronous_commit', 'off', true))
         update dumps set published = coalesce(published, ?) from relaxed where id = ? and attempt = ? returning id`,
        [now, id, attempt],
      );
      return rows.length === 1;
    },
    async deleteUnpublished(id) {
      await knex('dumps').where({ id, attempt: 1 }).whereNull('published').whereIn('status', LIVE).delete();
    },
    async markStorageFreed(id, now) {
      await knex('dumps').where('id', id).update({ storage_freed: now });
    },
  };
}

function toDump(row: Row): Dump {
  return {
    id: row.id,
    docset: row.docset_id,
    docsetRevision: row.docset_revision,
    formats: row.formats.split(','),
    container: row.container,
    outcome: toOutcome(row),
    attempt: row.attempt,
    published: row.published,
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

function toRow(dump: Dump): Record<keyof Row, unknown> {
  return {
    id: dump.id,
    docset_id: dump.docset,
    docset_revision: dump.docsetRevision,
    formats: dump.formats.join(','),
    container: dump.container,
    created: dump.created,
    published: dump.published,
    storage_freed: dump.storageFreed,
    ...changesOf(dump),
  };
}

type FixedColumn =
  'id' | 'docset_id' | 'docset_revision' | 'formats' | 'container' | 'created' | 'published' | 'storage_freed';

function changesOf({ outcome, ...dump }: Dump): Record<Exclude<keyof Row, FixedColumn>, unknown> {
  return {
    status: outcome.status,
    attempt: dump.attempt,
    run: dump.run,
    sequence: dump.sequence,
    progress: dump.progress,
    phase: dump.phase,
    remaining_seconds: dump.remainingSeconds,
    started: dump.started,
    updated: dump.updated,
    finished: 'finished' in outcome ? outcome.finished : null,
    expires: 'expires' in outcome ? outcome.expires : null,
    counts: JSON.stringify(dump.counts),
    timeline: JSON.stringify(dump.timeline),
    archive: 'archive' in outcome ? JSON.stringify(outcome.archive) : null,
    error: 'error' in outcome ? JSON.stringify(outcome.error) : null,
  };
}
