/** A dump as a client sees it (design §5). */
import { DEFAULT_CONTAINER } from '../../queue-config/index.js';
import { PROBLEMS, problemType } from '../http/problems.js';
import type { Caller } from '../miners/caller.js';
import { isLive, type Dump } from './dump.js';
import type { Estimate } from './estimate.js';
import type { PollResult } from './poll-dump.js';
import { WARNINGS, type Warning } from './warnings.js';

type Wanted = Pick<Dump, 'docset' | 'formats' | 'container' | 'since'>;

/** The dump URL of these formats, as a path. */
export function dumpPath({ docset, ...wanted }: Wanted): string {
  return `/api/docsets/${docset}/dump${queryOf(wanted)}`;
}

/** The archive URL, as a path. */
export function archivePath({ docset, ...wanted }: Wanted): string {
  return `/api/docsets/${docset}/dump/archive${queryOf(wanted)}`;
}

/** The default container goes without saying. */
export function queryOf({ formats, container, since }: Omit<Wanted, 'docset'>): string {
  const archive = container === DEFAULT_CONTAINER ? '' : `&archive=${container}`;
  return `?fmt=${formats.join(',')}${archive}${since === null ? '' : `&since=${since}`}`;
}

/**
 * The status body. `done` is in every one of them, so that no client loops for ever on a failure.
 * @param caller admins are told which packager it was
 */
export function statusBody({ dump, stale }: PollResult, caller?: Pick<Caller, 'role'>): Record<string, unknown> {
  const { outcome } = dump;
  const isAdmin = caller?.role === 'admin';
  return {
    id: dump.id,
    docset: `/api/docsets/${dump.docset}`,
    formats: dump.formats,
    container: dump.container,
    since: dump.since,
    status: outcome.status,
    done: !isLive(dump),
    stale,
    progress: dump.progress,
    phase: dump.phase,
    message: messageOf(dump),
    attempt: dump.attempt,
    created: dump.created.toISOString(),
    started: dump.started?.toISOString() ?? null,
    updated: dump.updated.toISOString(),
    finished: 'finished' in outcome ? outcome.finished.toISOString() : null,
    expires: 'expires' in outcome ? outcome.expires.toISOString() : null,
    remaining_seconds: isLive(dump) ? dump.remainingSeconds : null,
    counts: dump.counts,
    timeline: dump.timeline.map(({ phase, started, ended }) => ({
      phase,
      started: started.toISOString(),
      ended: ended?.toISOString() ?? null,
    })),
    warnings: dump.warnings.map((warning) => warningBody(warning, isAdmin)),
    ...(isAdmin ? { packager: dump.packager } : {}),
    archive: archiveBody(dump),
    error: outcome.status === 'failed' ? errorBody(outcome.error) : null,
    links: linksOf(dump),
  };
}

/** A link to an archive that needs no key. */
export interface ArchiveLink {
  href: string;
  /** False where a packager of another make put the archive somewhere of its own choosing. */
  isOurs: boolean;
  filename: string | null;
  expires: Date | null;
}

/** The link for those who cannot read a redirect: browsers follow it before a page sees it. */
export function linkBody(dump: Dump, { href, filename, expires }: ArchiveLink): object {
  const archive = 'archive' in dump.outcome ? dump.outcome.archive : undefined;
  return {
    href,
    filename,
    expires: expires?.toISOString() ?? null,
    size: archive?.size ?? null,
    sha256: archive?.kind === 'stored' ? archive.sha256 : null,
  };
}

/** What a dump would be. */
export function estimateBody(wanted: Wanted, { documents, byFormat, archive, seconds, pace }: Estimate): object {
  return {
    docset: `/api/docsets/${wanted.docset}`,
    formats: wanted.formats,
    container: wanted.container,
    since: wanted.since,
    documents,
    bytes: { content: byFormat.reduce((sum, { content }) => sum + content, 0), archive },
    by_format: byFormat.map(({ format, files, content, stored }) => ({
      format,
      files,
      missing: documents - files,
      bytes: { content, stored },
    })),
    seconds,
    pace:
      pace === null
        ? null
        : {
            dumps: pace.dumps,
            bytes_per_second: pace.bytesPerSecond,
            documents_per_second: pace.documentsPerSecond,
          },
    links: [{ rel: 'dump', href: dumpPath(wanted) }],
  };
}

/** When to poll again, in seconds: after the packager's own estimate, or the less often the longer it takes. */
export function retryAfter(dump: Dump, now: Date): number {
  const age = (now.getTime() - dump.created.getTime()) / 1000;
  const wanted = dump.remainingSeconds ?? age / 10;
  return Math.min(30, Math.max(1, Math.round(wanted)));
}

/** The header `X-Progress` of a dump that is still being made. */
export function progressHeader(dump: Dump): string {
  return dump.phase === null ? `${dump.outcome.status} ${dump.progress}%` : `${dump.phase} ${dump.progress}%`;
}

function messageOf({ outcome, attempt, counts, phase }: Dump): string {
  switch (outcome.status) {
    case 'accepted':
      return attempt === 1
        ? 'Waiting for a packager.'
        : `Waiting for a packager again, since one was lost (attempt ${attempt}).`;
    case 'running':
      return phase === null ? 'A packager has started.' : `${counts.packed} of ${counts.requested} documents packed.`;
    case 'successful':
      return counts.omitted === 0
        ? counts.requested === 1
          ? 'The one document is in the archive.'
          : `All ${counts.requested} documents are in the archive.`
        : `${counts.packed} of ${counts.requested} documents are complete; omitted.csv in the archive says what is missing from the other ${counts.omitted}.`;
    case 'failed':
      return outcome.error.detail;
    case 'dismissed':
      return 'The dump was cancelled.';
    case 'expired':
      return 'The archive is gone. Ask for the dump again to have a new one.';
  }
}

function warningBody({ code, packager, attempt, count, first, last }: Warning, isAdmin: boolean): object {
  return {
    code,
    detail: WARNINGS[code],
    attempt,
    count,
    first: first.toISOString(),
    last: last.toISOString(),
    ...(isAdmin ? { packager } : {}),
  };
}

function archiveBody(dump: Dump): object | null {
  if (dump.outcome.status !== 'successful') return null;
  const { archive } = dump.outcome;
  return { href: archivePath(dump), size: archive.size, sha256: archive.kind === 'stored' ? archive.sha256 : null };
}

function errorBody({ code, detail }: { code: keyof typeof PROBLEMS; detail: string }): object {
  return { type: problemType(code), title: PROBLEMS[code].title, detail };
}

function linksOf(dump: Dump): object[] {
  const self = dumpPath(dump);
  return [
    { rel: 'self', href: self },
    { rel: 'docset', href: `/api/docsets/${dump.docset}` },
    ...(dump.outcome.status === 'successful' ? [{ rel: 'archive', href: archivePath(dump) }] : []),
    ...(isLive(dump) ? [{ rel: 'cancel', href: self }] : []),
  ];
}
