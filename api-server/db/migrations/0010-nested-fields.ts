/** Which members the objects in metadata have, so that a query may name them, and one that names another is refused. */
import type { Knex } from 'knex';

export const nestedFields: Knex.Migration = {
  async up(knex) {
    // Every document is looked at once, which may take longer than any request may.
    await knex.raw('set local statement_timeout to 0');
    for (const statement of STATEMENTS) await knex.raw(statement);
  },
  async down(knex) {
    await knex.raw('drop table collection_paths');
  },
};

const STATEMENTS = [
  // Two names or more, and no more than DEEPEST_FIELD.
  `create table collection_paths (
    collection_id text not null references collections on delete cascade,
    path text[] not null,
    primary key (collection_id, path)
  )`,
  `insert into collection_paths (collection_id, path)
    with recursive met (collection_id, path, value) as (
      select d.collection_id, array[pair.key], pair.value
      from documents as d, lateral jsonb_each(d.metadata) as pair
      where d.current and jsonb_typeof(pair.value) in ('array', 'object')
      union all
      select met.collection_id, met.path || pair.key, pair.value
      from met,
        lateral jsonb_array_elements(case jsonb_typeof(value) when 'array' then value else jsonb_build_array(value) end)
          as element,
        lateral jsonb_each(case jsonb_typeof(element) when 'object' then element else '{}' end) as pair
      where cardinality(met.path) < 5
    )
    select distinct collection_id, path from met where cardinality(path) > 1`,
];
