/** Files leave the database: what they are is in segments, and their rows say where. */
import type { Knex } from 'knex';

export const segments: Knex.Migration = {
  async up(knex) {
    const { rows } = await knex.raw<{ rows: unknown[] }>('select 1 from files limit 1');
    if (rows.length > 0) {
      throw new Error(
        'this database was filled by a version that kept the bytes of documents in it. Start with an empty database' +
          ' (or an empty DATA_DIR) and ingest the documents again.',
      );
    }
    for (const statement of STATEMENTS) await knex.raw(statement);
  },
  down() {
    return Promise.reject(new Error('what is in segments does not come back into the database'));
  },
};

const STATEMENTS = [
  // A row is there before its object is, and goes before it: an object without a row is nobody's.
  `create table segments (
    id bigint generated always as identity primary key,
    collection_id text not null references collections on delete cascade,
    key text not null unique,
    size bigint not null,
    created timestamptz not null default now(),
    sealed timestamptz
  )`,

  // "sha256" is that of the content, "stored_sha256" that of the bytes in the segment.
  `alter table files
    drop column bytes,
    add column segment_id bigint not null references segments,
    add column "offset" bigint not null,
    add column stored_length bigint not null,
    add column method text not null check (method in ('deflate', 'store')),
    add column crc32 bigint not null,
    add column stored_sha256 text not null`,
  'create index files_segment on files (segment_id, "offset")',
];
