/** All dumps at a glance, for operators: those that are being made, why others failed, and who packs. As polls last saw them. */
import type { Knex } from 'knex';
import { PROBLEMS, isProblemSlug, problemType } from '../http/problems.js';

/** How many dumps that are being made are listed. */
const SHOWN = 100;

interface Overview {
  live: { total: number; dumps: object[] };
  outcomes: { status: string; dumps: number }[];
  failures: { code: string; dumps: number; latest: { id: string; docset: string; detail: string; finished: string } }[];
  packagers: { packager: string | null; live: number; successful: number; failed: number; heard: string }[];
}

/** @param days how far back to look at what is over */
export async function dumpsOverview(knex: Knex, days: number): Promise<object> {
  const { rows } = await knex.raw<{ rows: [{ overview: Overview }] }>(OVERVIEW, [SHOWN, days]);
  const [{ overview }] = rows;
  return {
    days,
    live: overview.live,
    outcomes: overview.outcomes,
    failures: overview.failures.map(({ code, ...failure }) => ({
      type: problemType(isProblemSlug(code) ? code : 'packaging-failed'),
      title: PROBLEMS[isProblemSlug(code) ? code : 'packaging-failed'].title,
      ...failure,
    })),
    packagers: overview.packagers,
  };
}

/** A moment as JSON has it everywhere in the API. */
const iso = (moment: string): string => `to_char(${moment} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;

/** One statement, so that all of it is of one moment. */
const OVERVIEW = `
  with live as materialized (
    select d.*, coalesce(m.name, s.owner) as owner
    from dumps as d join docsets as s on s.id = d.docset_id left join miners as m on m.id::text = s.owner
    where d.status in ('accepted', 'running')
  ), shown as (
    select * from live order by created, id limit ?
  ), over as materialized (
    select id, docset_id, status, error, packager, finished from dumps
    where finished > now() - make_interval(days => ?) and status not in ('accepted', 'running')
  ), failures as (
    select error ->> 'code' as code, count(*) as dumps,
      (array_agg(json_build_object('id', id, 'docset', '/api/docsets/' || docset_id, 'detail', error ->> 'detail',
        'finished', ${iso('finished')}) order by finished desc))[1] as latest
    from over where status = 'failed' group by 1
  ), heard as (
    select packager, status, updated as heard from live where status = 'running'
    union all select packager, status, finished from over where status in ('successful', 'expired', 'failed')
  ), packagers as (
    select packager, count(*) filter (where status = 'running') as live,
      count(*) filter (where status in ('successful', 'expired')) as successful,
      count(*) filter (where status = 'failed') as failed, ${iso('max(heard)')} as heard
    from heard group by packager
  )
  select json_build_object(
    'live', json_build_object('total', (select count(*) from live), 'dumps', coalesce((select json_agg(json_build_object(
      'id', id, 'docset', '/api/docsets/' || docset_id, 'owner', owner, 'formats', string_to_array(formats, ','),
      'container', container, 'status', status, 'attempt', attempt, 'packager', packager, 'progress', progress,
      'phase', phase, 'remaining_seconds', remaining_seconds, 'documents', counts -> 'requested', 'packed', counts -> 'packed',
      'created', ${iso('created')}, 'started', ${iso('started')}, 'updated', ${iso('updated')}) order by created, id) from shown), '[]'::json)),
    'outcomes', coalesce((select json_agg(json_build_object('status', status, 'dumps', dumps) order by dumps desc, status)
      from (select status, count(*) as dumps from over group by status) as by_status), '[]'::json),
    'failures', coalesce((select json_agg(failures order by dumps desc, code) from failures), '[]'::json),
    'packagers', coalesce((select json_agg(packagers order by live desc, heard desc) from packagers), '[]'::json)
  ) as overview`;
