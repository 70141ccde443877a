/** Segments: immutable objects in the content store, in which files lie side by side. */
import type { Knex } from 'knex';
import { ProblemError } from '../http/problems.js';

export interface Segment {
  id: string;
  /** In the content store. */
  key: string;
  /** Bytes. */
  size: number;
}

/** @throws {ProblemError} `segment-not-found`, for one that is not sealed yet too */
export async function findSegment(knex: Knex, id: string): Promise<Segment> {
  const row = await knex('segments')
    .where({ id })
    .whereNotNull('sealed')
    .first<(Segment & { size: string }) | undefined>('id', 'key', 'size');
  if (row === undefined) throw new ProblemError('segment-not-found', `There is no segment ${id}.`);
  return { ...row, size: Number(row.size) };
}
