/** What docsets remember of how they were made, members that are being uploaded, and dumps relative to earlier ones. */
import type { Knex } from 'knex';

export const docsets: Knex.Migration = {
  async up(knex) {
    for (const statement of STATEMENTS) await knex.raw(statement);
  },
  async down(knex) {
    await knex.raw("delete from dumps where since <> ''");
    await knex.raw('drop index dumps_follow');
    await knex.raw('create unique index dumps_follow on dumps (docset_id, formats, container, follows)');
    await knex.raw('alter table dumps drop column since');
    await knex.raw('drop table docset_unknown, named_members');
    await knex.raw('alter table docsets drop column collection_revision, drop column unknown');
  },
};

const STATEMENTS = [
  // NULL: made before this was kept.
  `alter table docsets
    add column collection_revision bigint,
    add column unknown bigint not null default 0`,

  // What was named as a member and is no document of the collection, where the miner wanted the rest all the same.
  `create table docset_unknown (
    docset_id text not null references docsets on delete cascade,
    member text collate "C" not null,
    primary key (docset_id, member)
  )`,

  // A list on its way into a docset. What broke off is cleared away later; a crash of the database may forget it.
  `create unlogged table named_members (
    list uuid not null,
    named timestamptz not null default now(),
    ref text collate "C",
    document_id bigint
  )`,
  'create index named_members_list on named_members (list)',

  // The id of the dump that a dump is relative to; empty where it is of the whole docset.
  "alter table dumps add column since text not null default ''",
  'drop index dumps_follow',
  'create unique index dumps_follow on dumps (docset_id, formats, container, since, follows)',
  "create index dumps_since on dumps (since) where since <> ''",
];
