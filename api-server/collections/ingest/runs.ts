/**
 * Runs over a whole source. A run knows each ref that its source has, so that at its end the documents which the source has no
 * more can be withdrawn.
 */
import type { Knex } from 'knex';
import { ProblemError } from '../../http/problems.js';
import type { Collection } from '../collections.js';
import { countRevision } from './record-changes.js';
import { findLatest, inTurn, isThere } from './write-documents.js';

export interface IngestRun {
  id: string;
  collection_id: string;
  started: Date;
  finished: Date | null;
  /** How many documents its end withdrew. */
  withdrawn: string | null;
}

/** A document of a source; without a digest, one that is to stay as it is. */
export interface Compared {
  ref: string;
  /** SHA-256 of all that is stored of it, in hexadecimal. */
  digest?: string;
}

export interface Comparison {
  unchanged: number;
  /** Refs of documents that are not there, or not as they are in the source: to be sent. */
  wanted: string[];
  /** Refs that were met before in this run. */
  duplicates: string[];
}

/** @returns the new run; those of the collection that were left open for more than a day are forgotten */
export async function startRun(knex: Knex, { id }: Collection): Promise<IngestRun> {
  await knex('ingests')
    .where({ collection_id: id, finished: null })
    .whereRaw("started < now() - interval '1 day'")
    .delete();
  const [run] = await knex('ingests').insert({ collection_id: id }).returning<IngestRun[]>('*');
  if (run === undefined) throw new Error('the database returned no ingest run for the one it was given');
  return run;
}

/** @throws {ProblemError} `ingest-not-found` */
export async function findRun(knex: Knex, collection: Collection, id: string): Promise<IngestRun> {
  const run = await knex('ingests').where({ id, collection_id: collection.id }).first<IngestRun | undefined>('*');
  if (run === undefined) {
    throw new ProblemError('ingest-not-found', `Collection ${collection.id} has no ingest run ${id}.`);
  }
  return run;
}

/** @throws {ProblemError} `ingest-not-found`, `ingest-finished` */
export async function findOpenRun(knex: Knex, collection: Collection, id: string): Promise<IngestRun> {
  const run = await findRun(knex, collection, id);
  if (run.finished !== null) throw new ProblemError('ingest-finished');
  return run;
}

/** Notes that the source has these refs. @returns those of them that were not noted before */
export async function claimRefs(knex: Knex, { id }: IngestRun, refs: readonly string[]): Promise<Set<string>> {
  const { rows } = await knex.raw<{ rows: { ref: string }[] }>(
    `insert into ingest_refs (ingest_id, ref) select ?, ref from unnest(?::text[]) as ref
     on conflict do nothing returning ref`,
    [id, [...refs]],
  );
  return new Set(rows.map(({ ref }) => ref));
}

/** Tells which documents of a source have to be sent, and notes that it has the others. */
export async function compareWithSource(knex: Knex, run: IngestRun, documents: Compared[]): Promise<Comparison> {
  const latest = await findLatest(knex, run.collection_id, documents);
  const isSettled = ({ ref, digest }: Compared): boolean =>
    digest === undefined || isThere(latest, { ref, digest: Buffer.from(digest, 'hex') });
  const settled = documents.filter(isSettled);
  const claimed = await claimRefs(
    knex,
    run,
    settled.map(({ ref }) => ref),
  );
  const known = settled.filter(({ digest }) => digest !== undefined);
  // The first one of each ref is the one that was claimed.
  const duplicates = known.filter(({ ref }) => !claimed.delete(ref)).map(({ ref }) => ref);
  return {
    unchanged: known.length - duplicates.length,
    wanted: documents.filter((document) => !isSettled(document)).map(({ ref }) => ref),
    duplicates,
  };
}

interface FinishOptions {
  /** Withdraw the documents of the collection that the source did not have. */
  withdraw: boolean;
  /** Even where these are more than half of them all. */
  most: boolean;
}

/**
 * Ends a run. A document that came by other ways since it began is not withdrawn.
 * @throws {ProblemError} `ingest-finished`, `withdrawal-too-large`; then nothing was changed
 */
export async function finishRun(knex: Knex, run: IngestRun, { withdraw, most }: FinishOptions): Promise<IngestRun> {
  return inTurn(knex, async (trx) => {
    // A million documents take longer than a query of a miner may.
    await trx.raw("set local statement_timeout to '30min'");
    const open = await trx('ingests')
      .where({ id: run.id, finished: null })
      .forUpdate()
      .first<IngestRun | undefined>('*');
    if (open === undefined) throw new ProblemError('ingest-finished');
    if (withdraw && !most) await refuseMost(trx, open);
    const withdrawn = withdraw ? await withdrawMissing(trx, open) : 0;
    await trx('ingest_refs').where({ ingest_id: run.id }).delete();
    const [finished] = await trx('ingests')
      .where({ id: run.id })
      .update({ finished: trx.fn.now(), withdrawn })
      .returning<IngestRun[]>('*');
    if (finished === undefined) throw new Error('the ingest run that was locked is gone');
    return finished;
  });
}

/** Current documents that the source did not have, as `d`. */
const MISSING = `d.collection_id = :collection and d.current and d.created < (select started from ingests where id = :run)
  and not exists (select 1 from ingest_refs as r where r.ingest_id = :run and r.ref = d.ref)`;

const scopeOf = ({ id, collection_id }: IngestRun) => ({ run: id, collection: collection_id });

async function refuseMost(trx: Knex, run: IngestRun): Promise<void> {
  const { rows } = await trx.raw<{ rows: { missing: string; documents: string }[] }>(
    `select (select count(*) from documents as d where ${MISSING}) as missing, documents
     from collections where id = :collection`,
    scopeOf(run),
  );
  const missing = Number(rows[0]?.missing);
  const documents = Number(rows[0]?.documents);
  if (missing * 2 <= documents) return;
  throw new ProblemError(
    'withdrawal-too-large',
    `The source does not have ${missing} of the ${documents} documents of collection ${run.collection_id}: that is more` +
      ' than half. Finish with "most": true if they are to be withdrawn, or with "withdraw": false if not.',
    { missing, documents },
  );
}

/** Their rows stay for the docsets that have them. */
async function withdrawMissing(trx: Knex, run: IngestRun): Promise<number> {
  const { rows } = await trx.raw<{ rows: { revision: string; withdrawn: string }[] }>(
    `with gone as (update documents as d set current = false where ${MISSING} returning d.id, d.ref),
     revised as (
       update collections set revision = revision + 1
       where id = :collection and exists (select 1 from gone) returning revision
     ),
     noted as (
       insert into document_changes (collection_id, revision, ref, replaced_id)
       select :collection, revised.revision, gone.ref, gone.id from gone, revised returning 1
     )
     select revision, (select count(*) from noted) as withdrawn from revised`,
    scopeOf(run),
  );
  const [row] = rows;
  if (row === undefined) return 0;
  await countRevision(trx, run.collection_id, row.revision);
  return Number(row.withdrawn);
}
