/** Quotas of documents a minute: counted in one row for each miner, so that all api-servers on one database count together. */
import type { Knex } from 'knex';
import { ProblemError } from '../http/problems.js';
import type { Caller } from './caller.js';

interface Minute {
  used: number;
  /** When the minute is over, in seconds since 1970. */
  ends: number;
  /** Seconds until then. */
  left: number;
}

/**
 * Counts documents that are about to be delivered. The minute begins with the first of them.
 * @returns what to tell the client of its quota, as headers; nothing where there is none
 * @throws {ProblemError} `quota-exceeded`; then nothing was counted
 */
export async function spendDocuments(
  knex: Knex,
  { id, quota }: Pick<Caller, 'id' | 'quota'>,
  documents: number,
): Promise<Record<string, string>> {
  const limit = quota.documentsPerMinute;
  if (limit === Infinity) return {};
  const minute = documents > limit ? undefined : await spend(knex, { id, limit, documents });
  if (minute !== undefined) return describe(limit, minute);
  const full = await currentMinute(knex, id);
  throw new ProblemError(
    'quota-exceeded',
    `Your quota is ${limit} documents a minute, and ${full.used} were read. Try again in ${full.left} seconds.`,
    { quota: 'documents', limit },
    { headers: { ...describe(limit, full), 'Retry-After': String(full.left) } },
  );
}

/** One statement, which the row's lock puts in line. @returns undefined where it would be too many */
async function spend(
  knex: Knex,
  { id, limit, documents }: { id: string; limit: number; documents: number },
): Promise<Minute | undefined> {
  // Not worth a wait for the disk: what a crash forgets here is forgiven.
  const { rows } = await knex.raw<{ rows: [] | [Minute] }>(
    `with relaxed as (select set_config('synchronous_commit', 'off', true))
     insert into document_windows as w (miner_id, began, used) select ?::bigint, now(), ?::integer from relaxed
     on conflict (miner_id) do update set
       began = case when w.began > now() - interval '1 minute' then w.began else excluded.began end,
       used = case when w.began > now() - interval '1 minute' then w.used else 0 end + excluded.used
     where case when w.began > now() - interval '1 minute' then w.used else 0 end + excluded.used <= ?::integer
     returning ${MINUTE}`,
    [id, documents, limit],
  );
  return rows[0];
}

async function currentMinute(knex: Knex, id: string): Promise<Minute> {
  const { rows } = await knex.raw<{ rows: [] | [Minute] }>(
    `select ${MINUTE} from document_windows where miner_id = ?::bigint and began > now() - interval '1 minute'`,
    [id],
  );
  // It has just ended, or a quota of none never began one.
  return rows[0] ?? { used: 0, ends: Math.ceil(Date.now() / 1_000) + 1, left: 1 };
}

const MINUTE = `used,
  ceil(extract(epoch from began + interval '1 minute'))::float8 as ends,
  greatest(1, ceil(extract(epoch from began + interval '1 minute' - now())))::float8 as left`;

/** The names of the first Adit, and those of the IETF's draft (draft-ietf-httpapi-ratelimit-headers-10). */
function describe(limit: number, { used, ends, left }: Minute): Record<string, string> {
  const remaining = Math.max(0, limit - used);
  return {
    'X-RateLimit-Limit': String(limit),
    'X-RateLimit-Remaining': String(remaining),
    'X-RateLimit-Reset': String(ends),
    'RateLimit-Policy': `"documents";q=${limit};w=60;qu="documents"`,
    RateLimit: `"documents";r=${remaining};t=${left}`,
  };
}
