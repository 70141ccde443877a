/** What a search by fields of the metadata, and facets by year, need. */
import type { Knex } from 'knex';

export const search: Knex.Migration = {
  async up(knex) {
    // Every document is written once more, which may take longer than any request may.
    await knex.raw('set local statement_timeout to 0');
    for (const statement of STATEMENTS) await knex.raw(statement);
  },
  async down(knex) {
    await knex.raw('drop table collection_fields');
    await knex.raw('alter table documents drop column year, drop column metadata_tsv');
  },
};

const STATEMENTS = [
  // Which fields there are, so that a query for one that does not exist can be refused, naming those that do.
  `create table collection_fields (
    collection_id text not null references collections on delete cascade,
    field text not null,
    primary key (collection_id, field)
  )`,
  `insert into collection_fields (collection_id, field)
    select distinct collection_id, field from documents, lateral jsonb_object_keys(metadata) as field where current`,

  // The words of all metadata: finds the documents, of which the one field is then looked at. NULL where they are too many.
  `alter table documents
    add column metadata_tsv tsvector,
    add column year integer generated always as (
      coalesce(
        substring(date from '(\\?<![0-9])([0-9]{4})(\\?![0-9])'),
        substring(metadata ->> 'year' from '^[0-9]{4}$')
      )::integer
    ) stored`,
  `update documents as d
    set metadata_tsv = jsonb_to_tsvector(c.language::regconfig, d.metadata, '["string", "numeric", "boolean"]')
    from collections as c
    where c.id = d.collection_id and length(d.metadata::text) <= 100000`,
  'create index documents_metadata_tsv on documents using gin (metadata_tsv)',
  'create index documents_metadata_unindexed on documents (collection_id) where metadata_tsv is null',
  'create index documents_year on documents (collection_id, year) where current',
];
