/** Ingest runs, what each revision of a collection brought, counts that are kept while documents are written, and watches. */
import type { Knex } from 'knex';

export const ingest: Knex.Migration = {
  async up(knex) {
    // Every document is counted once, which may take longer than any request may.
    await knex.raw('set local statement_timeout to 0');
    for (const statement of STATEMENTS) await knex.raw(statement);
  },
  async down(knex) {
    await knex.raw('drop table watches, document_changes, ingest_refs, ingests, collection_years');
    await knex.raw('alter table collection_fields drop column types');
    await knex.raw('alter table collection_formats drop column documents');
    await knex.raw('alter table collections drop column documents, drop column schema_given');
  },
};

const STATEMENTS = [
  // Where no schema was given, the one that is shown follows from "collection_fields".
  `alter table collections
    add column documents bigint not null default 0,
    add column schema_given boolean not null default false`,
  `update collections as c set
    schema_given = schema -> 'properties' is distinct from
      '{"title": {"type": "string"}, "creator": {"type": "string"}, "date": {"type": "string"}}'::jsonb,
    documents = (select count(*) from documents as d where d.collection_id = c.id and d.current)`,

  // How many of the current documents have each format; one that none has any more may still be in a docset.
  'alter table collection_formats add column documents bigint not null default 0',
  `update collection_formats as f set documents = counted.documents
    from (
      select d.collection_id, files.format, count(*) as documents
      from documents as d join files on files.document_id = d.id
      where d.current group by d.collection_id, files.format
    ) as counted
    where counted.collection_id = f.collection_id and counted.format = f.format`,

  `create table collection_years (
    collection_id text not null references collections on delete cascade,
    year integer not null,
    documents bigint not null,
    primary key (collection_id, year)
  )`,
  `insert into collection_years (collection_id, year, documents)
    select collection_id, year, count(*) from documents where current and year is not null group by collection_id, year`,

  // Which JSON types a field was ever met with.
  `alter table collection_fields add column types text[] not null default '{}'`,
  `update collection_fields as f set types = met.types
    from (
      select collection_id, field, array_agg(distinct
        case when jsonb_typeof(value) = 'number' and value::text !~ '[.eE]' then 'integer'
          else jsonb_typeof(value) end) as types
      from documents, lateral jsonb_each(metadata) as pair(field, value)
      where current group by collection_id, field
    ) as met
    where met.collection_id = f.collection_id and met.field = f.field`,

  // A run over a whole source: what it has met is known, so that the rest can be withdrawn at its end.
  `create table ingests (
    id bigint generated always as identity primary key,
    collection_id text not null references collections on delete cascade,
    started timestamptz not null default now(),
    finished timestamptz,
    withdrawn bigint
  )`,
  'create index ingests_collection on ingests (collection_id)',
  `create table ingest_refs (
    ingest_id bigint not null references ingests on delete cascade,
    ref text collate "C" not null,
    primary key (ingest_id, ref)
  )`,

  // What each revision of a collection brought: a document came, one took the place of another, or one was withdrawn.
  `create table document_changes (
    collection_id text not null references collections on delete cascade,
    revision bigint not null,
    ref text collate "C" not null,
    document_id bigint references documents on delete cascade,
    replaced_id bigint references documents on delete cascade,
    primary key (collection_id, revision, ref),
    check (document_id is not null or replaced_id is not null)
  )`,

  // "since" is the revision of the collection up to which the owner knows what matches.
  `create table watches (
    number bigint generated always as identity unique,
    id text primary key generated always as (number::text) stored,
    owner text not null,
    collection_id text not null references collections on delete cascade,
    name text,
    query jsonb not null,
    since bigint not null,
    created timestamptz not null default now()
  )`,
  'create index watches_owner on watches (owner, collection_id, number)',
];
