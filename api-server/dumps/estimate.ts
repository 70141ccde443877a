/** What a dump would be, before it is asked for: documents and bytes from what is stored, seconds from the pace of the last dumps. */
import type { Knex } from 'knex';
import type { Container } from '../../queue-config/index.js';
import { isNew } from '../docsets/delta.js';
import type { DocsetFacts } from '../docsets/docsets.js';

export interface EstimateRequest {
  docset: DocsetFacts;
  formats: string[];
  container: Container;
  /** Id of the docset that the dump is relative to; undefined: it is of all members. */
  since: string | undefined;
}

export interface Estimate {
  documents: number;
  /** Sums, and in the order of the request. Bytes of the contents, and as they lie in the archive. */
  byFormat: { format: string; files: number; content: number; stored: number }[];
  /** Bytes of the archive. */
  archive: number;
  /** From when a packager takes it; null where no dump of this container was made in the last month. */
  seconds: number | null;
  /** What the seconds were estimated from. */
  pace: Pace | null;
}

interface Pace {
  /** How many dumps were measured. */
  dumps: number;
  bytesPerSecond: number;
  documentsPerSecond: number;
}

/** The last so many dumps, of the last month. */
const MEASURED = 20;

export async function estimateDump(knex: Knex, request: EstimateRequest): Promise<Estimate> {
  const { documents, refs, files, recent } = await measure(knex, request);
  const byFormat = request.formats.map((format) => {
    const found = files?.find((each) => each.format === format);
    return { format, files: found?.files ?? 0, content: found?.content ?? 0, stored: found?.stored ?? 0 };
  });
  const archive = archiveBytes(request, { documents, byFormat, refLength: documents === 0 ? 0 : refs / documents });
  const pace = paceOf(recent);
  const seconds =
    pace === null ? null : Math.ceil(Math.max(archive / pace.bytesPerSecond, documents / pace.documentsPerSecond));
  return { documents, byFormat, archive, seconds, pace };
}

interface Measured {
  documents: number;
  /** Bytes of all refs. */
  refs: number;
  files: { format: string; files: number; content: number; stored: number }[] | null;
  recent: { dumps: number; bytes: number | null; documents: number | null; seconds: number | null };
}

/** All of it by one statement. JSON has the sums as numbers: they are exact up to 2⁵³. */
async function measure(knex: Knex, { docset, formats, container, since }: EstimateRequest): Promise<Measured> {
  const { sql, bindings } = isNew(since);
  const { rows } = await knex.raw<{ rows: [{ measured: Measured }] }>(
    `with wanted as materialized (
       select m.ref, m.document_id from docset_members as m where m.docset_id = ? and ${sql}
     ), by_format as (
       select f.format, count(*) as files, sum(f.size) as content, sum(f.stored_length) as stored
       from wanted join files as f on f.document_id = wanted.document_id and f.format = any(?::text[])
       group by f.format
     ), recent as (
       select extract(epoch from finished - started) as seconds, (archive ->> 'size')::bigint as bytes,
         (counts ->> 'requested')::bigint as documents
       from dumps
       where status in ('successful', 'expired') and container = ? and archive ->> 'kind' = 'stored'
         and finished > started and finished > now() - interval '30 days'
       order by finished desc limit ?
     )
     select json_build_object(
       'documents', (select count(*) from wanted),
       'refs', (select coalesce(sum(octet_length(ref)), 0) from wanted),
       'files', (select json_agg(by_format) from by_format),
       'recent', (select json_build_object('dumps', count(*), 'bytes', sum(bytes), 'documents', sum(documents),
         'seconds', sum(seconds)) from recent)
     ) as measured`,
    [docset.id, ...bindings, formats, container, MEASURED],
  );
  return rows[0].measured;
}

function paceOf({ dumps, bytes, documents, seconds }: Measured['recent']): Pace | null {
  if (bytes === null || documents === null || seconds === null || documents === 0) return null;
  return {
    dumps,
    bytesPerSecond: Math.round(bytes / seconds),
    documentsPerSecond: Number((documents / seconds).toFixed(1)),
  };
}

/** Bytes besides those of the stored files and of their names, as measured on archives of texts. */
const ARCHIVE_COSTS: Record<Container, { archive: number; file: number; document: number; namesPerFile: number }> = {
  // Headers of 30 and 46 bytes, and in the manifest mostly a digest, which deflates to half its digits.
  zip: { archive: 1_500, file: 76 + 42, document: 45, namesPerFile: 2 },
  // A header of 512 bytes is mostly zeros, and is deflated.
  'tar.gz': { archive: 1_500, file: 130 + 42, document: 45, namesPerFile: 0 },
};

function archiveBytes(
  { docset, container }: EstimateRequest,
  { documents, byFormat, refLength }: Pick<Estimate, 'documents' | 'byFormat'> & { refLength: number },
): number {
  const costs = ARCHIVE_COSTS[container];
  let bytes = costs.archive + documents * costs.document;
  for (const { format, files, stored } of byFormat) {
    const name = `docset-${docset.id}/data/.${format}`.length + refLength;
    bytes += stored + files * (costs.file + costs.namesPerFile * name);
  }
  return Math.round(bytes);
}
