/** What a revision of a collection brings: it is written down, and what is counted of the collection follows from it. */
import type { Knex } from 'knex';
import { DEEPEST_FIELD } from '../metadata-schema.js';

/** A document came (`replaced` is null), one took the place of another, or one was withdrawn (`document` is null). */
export interface Change {
  ref: string;
  /** Id of the document that is now current. */
  document: string | null;
  /** Id of the one that no longer is. */
  replaced: string | null;
}

/**
 * Makes the next revision of a collection, of changes to its documents that were written before in the same transaction. Keeps
 * other writers of the collection waiting until the end of the transaction.
 */
export async function recordChanges(trx: Knex, collection: string, changes: readonly Change[]): Promise<void> {
  const { rows } = await trx.raw<{ rows: { revision: string }[] }>(
    `with revised as (update collections set revision = revision + 1 where id = ? returning revision)
     insert into document_changes (collection_id, revision, ref, document_id, replaced_id)
     select ?, revised.revision, ref, nullif(document, '')::bigint, nullif(replaced, '')::bigint
     from revised, unnest(?::text[], ?::text[], ?::text[]) as change(ref, document, replaced)
     returning revision`,
    [
      ...[collection, collection],
      changes.map(({ ref }) => ref),
      changes.map(({ document }) => document ?? ''),
      changes.map(({ replaced }) => replaced ?? ''),
    ],
  );
  const [row] = rows;
  if (row !== undefined) await countRevision(trx, collection, row.revision);
}

/** Brings the counts of documents, formats and years up to date with what a revision brought. */
export async function countRevision(trx: Knex, collection: string, revision: string): Promise<void> {
  const scope = { collection, revision };
  await trx.raw(
    `update collections set documents = documents + (
       select count(document_id) - count(replaced_id) from document_changes
       where collection_id = :collection and revision = :revision
     ) where id = :collection`,
    scope,
  );
  await trx.raw(
    `insert into collection_formats (collection_id, format, documents)
     select :collection, format, sum(change) from (
       select files.format, 1 as change from document_changes as c join files on files.document_id = c.document_id
         where c.collection_id = :collection and c.revision = :revision
       union all
       select files.format, -1 from document_changes as c join files on files.document_id = c.replaced_id
         where c.collection_id = :collection and c.revision = :revision
     ) as changed group by format order by format
     on conflict (collection_id, format) do update set documents = collection_formats.documents + excluded.documents`,
    scope,
  );
  await trx.raw(
    `insert into collection_years (collection_id, year, documents)
     select :collection, year, sum(change) from (
       select d.year, 1 as change from document_changes as c join documents as d on d.id = c.document_id
         where c.collection_id = :collection and c.revision = :revision
       union all
       select d.year, -1 from document_changes as c join documents as d on d.id = c.replaced_id
         where c.collection_id = :collection and c.revision = :revision
     ) as changed where year is not null group by year having sum(change) <> 0 order by year
     on conflict (collection_id, year) do update set documents = collection_years.documents + excluded.documents`,
    scope,
  );
}

/** Notes the fields of metadata and of the objects in them, and of which JSON types the values of the former are. */
export async function recordFields(
  trx: Knex,
  collection: string,
  metadata: readonly Record<string, unknown>[],
): Promise<void> {
  const types = new Map<string, Set<string>>();
  for (const [field, value] of metadata.flatMap((object) => Object.entries(object))) {
    types.set(field, (types.get(field) ?? new Set()).add(jsonType(value)));
  }
  const pairs = [...types].flatMap(([field, met]) => [...met].map((type) => [field, type] as const));
  await trx.raw(
    `insert into collection_fields as known (collection_id, field, types)
     select ?, field, array_agg(type order by type) from unnest(?::text[], ?::text[]) as met(field, type)
       group by field order by field
     on conflict (collection_id, field) do update
       set types = array(select distinct type from unnest(known.types || excluded.types) as type order by type)
       where not known.types @> excluded.types`,
    [collection, pairs.map(([field]) => field), pairs.map(([, type]) => type)],
  );
  const nested = new Set(metadata.flatMap((object) => nestedPaths(object)).map((path) => JSON.stringify(path)));
  if (nested.size === 0) return;
  await trx.raw(
    `insert into collection_paths (collection_id, path)
     select ?, array(select jsonb_array_elements_text(met::jsonb)) as path from unnest(?::text[]) as met order by path
     on conflict do nothing`,
    [collection, [...nested]],
  );
}

/** Of all members of objects, and of objects in lists, that are in these metadata. */
function nestedPaths(metadata: object): string[][] {
  return Object.entries(metadata).flatMap(([name, value]) => pathsIn(value, [name]));
}

function pathsIn(value: unknown, path: readonly string[]): string[][] {
  if (path.length >= DEEPEST_FIELD) return [];
  return [value].flat().flatMap((each: unknown) => {
    if (typeof each !== 'object' || each === null || Array.isArray(each)) return [];
    return Object.entries(each).flatMap(([name, inner]: [string, unknown]) => [
      [...path, name],
      ...pathsIn(inner, [...path, name]),
    ]);
  });
}

/** As JSON Schema names it. */
function jsonType(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number';
  return typeof value;
}
