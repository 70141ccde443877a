/** Several keys for a miner, each with an end; quotas, and what has been used of them. */
import type { Knex } from 'knex';

export const keys: Knex.Migration = {
  async up(knex) {
    for (const statement of STATEMENTS) await knex.raw(statement);
  },
  async down(knex) {
    await knex.raw('drop function turn_of_dumps(text)');
    await knex.raw('drop index dumps_live');
    await knex.raw('drop table document_windows');
    await knex.raw(
      'alter table miners add column key_id text unique, add column key_hash bytea, add column revoked timestamptz',
    );
    // Only one key of each miner has room in the old table: the newest.
    await knex.raw(
      `update miners set key_id = k.id, key_hash = k.hash, revoked = coalesce(k.revoked, k.expires)
        from (select distinct on (miner_id) * from keys order by miner_id, created desc) as k where k.miner_id = miners.id`,
    );
    await knex.raw('alter table miners drop column documents_per_minute, drop column dumps_at_once');
    await knex.raw('drop table keys');
  },
};

const STATEMENTS = [
  `create table keys (
    id text primary key,
    miner_id bigint not null references miners on delete cascade,
    hash bytea not null,
    created timestamptz not null default now(),
    expires timestamptz,
    revoked timestamptz
  )`,
  'create index keys_miner on keys (miner_id)',
  `insert into keys (id, miner_id, hash, created, revoked)
    select key_id, id, key_hash, created, revoked from miners`,
  'alter table miners drop column key_id, drop column key_hash, drop column revoked',

  // Null: as the server's configuration says. Infinity: without limit, which an integer cannot say.
  `alter table miners
    add column documents_per_minute double precision check (documents_per_minute >= 0),
    add column dumps_at_once double precision check (dumps_at_once >= 0)`,

  // One row for each miner, written over in place: the minute that began with a document, and how many there were in it.
  `create table document_windows (
    miner_id bigint primary key references miners on delete cascade,
    began timestamptz not null,
    used integer not null
  ) with (fillfactor = 50)`,

  "create index dumps_live on dumps (docset_id) where status in ('accepted', 'running')",

  // Waits until nobody else is about to ask for a dump for the same miner, then counts those that are alive. A statement sees
  // what was there when it began; one in a volatile function begins when its turn comes, so that the count is true until the
  // transaction ends.
  `create function turn_of_dumps(miner text) returns bigint language plpgsql volatile as $$
    begin
      perform 1 from miners where id = miner::bigint for no key update;
      return (
        select count(*) from dumps join docsets on docsets.id = dumps.docset_id
        where docsets.owner = miner and dumps.status in ('accepted', 'running')
      );
    end
  $$`,
];
