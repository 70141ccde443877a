/** Miners, collections, documents and docsets. */
import type { Knex } from 'knex';

export const initial: Knex.Migration = {
  async up(knex) {
    for (const statement of STATEMENTS) await knex.raw(statement);
  },
  async down(knex) {
    await knex.raw('drop table docset_members, docsets, files, documents, collection_formats, collections, miners');
  },
};

const STATEMENTS = [
  `create table miners (
    id bigint generated always as identity primary key,
    name text not null,
    email text,
    role text not null check (role in ('miner', 'packager', 'admin')),
    key_id text not null unique,
    key_hash bytea not null,
    created timestamptz not null default now(),
    revoked timestamptz
  )`,

  `create table collections (
    id text primary key,
    name text not null,
    description text,
    source text,
    licence text,
    language text not null,
    schema jsonb not null,
    revision bigint not null default 1,
    created timestamptz not null default now()
  )`,

  // Which formats there are, so that nobody has to look through a million files for a format that does not exist.
  `create table collection_formats (
    collection_id text not null references collections on delete cascade,
    format text not null,
    primary key (collection_id, format)
  )`,

  // A changed document is a new row: docsets made before the change keep the old one. "C" sorts by UTF-8 bytes.
  `create table documents (
    id bigint generated always as identity primary key,
    collection_id text not null references collections on delete cascade,
    ref text collate "C" not null,
    revision integer not null,
    current boolean not null,
    digest bytea not null,
    title text,
    creator text,
    date text,
    metadata jsonb not null,
    tsv tsvector not null,
    created timestamptz not null default now()
  )`,
  'create unique index documents_current on documents (collection_id, ref) where current',
  'create unique index documents_revision on documents (collection_id, ref, revision)',
  'create index documents_tsv on documents using gin (tsv)',
  'create index documents_metadata on documents using gin (metadata jsonb_path_ops)',

  `create table files (
    document_id bigint not null references documents on delete cascade,
    format text not null,
    media_type text not null,
    size bigint not null,
    sha256 text not null,
    bytes bytea not null,
    primary key (document_id, format)
  )`,

  // Ids are short numbers, as those of the first Adit were; to everybody else they are text.
  `create table docsets (
    number bigint generated always as identity unique,
    id text primary key generated always as (number::text) stored,
    owner text not null,
    name text,
    description text,
    collection_id text not null references collections,
    query jsonb,
    generator text not null,
    revision integer not null default 1,
    members bigint not null,
    created timestamptz not null default now(),
    updated timestamptz not null default now(),
    deleted timestamptz
  )`,
  'create index docsets_owner on docsets (owner, number) where deleted is null',

  `create table docset_members (
    docset_id text not null references docsets on delete cascade,
    ref text collate "C" not null,
    document_id bigint not null references documents,
    primary key (docset_id, ref)
  )`,
  'create index docset_members_document on docset_members (document_id)',
];
