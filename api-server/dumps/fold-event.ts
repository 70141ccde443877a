/** What an event does to a dump. Pure, idempotent, and free of the order in which events come (design §3). */
import type { DumpManifest, PackagerEvent, PhaseSpan } from '../../queue-config/index.js';
import { isLive, nextAttempt, warned, type Archive, type Dump } from './dump.js';
import { failureOf } from './failures.js';
import { refusalOf, type JudgingTerms } from './judge-event.js';
import { MAX_ATTEMPTS } from './lease-policy.js';

export interface FoldContext extends JudgingTerms {
  /** How long an archive is kept, in milliseconds. */
  archiveTtl: number;
  /** What the packager wrote last at this attempt's key; undefined where nothing is there, or not the archive that it speaks of. */
  manifest?: DumpManifest | undefined;
}

/**
 * The dump after an event.
 *
 * - A terminal state is sticky.
 * - An event that is not believed changes nothing (`judge-event.ts`).
 * - The later run of an attempt wins; within a run the higher sequence, and a lower one changes nothing but the timeline.
 * - `Complete` from a packager that knows our headers counts only with its manifest: that, not the message, is the result. Without
 *   one the dump is asked for again, as if the packager had been lost.
 */
export function foldEvent(dump: Dump, event: PackagerEvent, context: FoldContext): Dump {
  if (!isLive(dump)) return dump;
  if (refusalOf(dump, event, context) !== undefined) return dump;
  switch (event.type) {
    case 'Complete':
      return complete(dump, event, context);
    case 'Failed':
      return fail(takePlace(dump, event, context.now), event, context.now);
    case 'Accepted':
    case 'Progress':
      return advance(dump, event, context.now);
  }
}

/** The dump once its manifest is found, with or without the news of it. */
export function adoptManifest(
  dump: Dump,
  manifest: DumpManifest,
  { now, archiveTtl }: Pick<FoldContext, 'now' | 'archiveTtl'>,
): Dump {
  const { key, size, sha256 } = manifest.archive;
  // Its clock may be any: what is kept, and for how long, goes by ours.
  const finished = within(new Date(manifest.completed), dump.created, now);
  return {
    ...succeed(dump, { kind: 'stored', key, size, sha256 }, finished, archiveTtl),
    started: dump.started ?? within(new Date(manifest.run), dump.created, finished),
    taken: dump.taken ?? now,
    packager: manifest.packager ?? dump.packager,
    updated: now,
    counts: { ...dump.counts, ...manifest.counts },
    timeline: manifest.timeline.map(({ phase, started, ended }) => ({
      phase,
      started: new Date(started),
      ended: ended === undefined ? undefined : new Date(ended),
    })),
  };
}

type Completed = Extract<PackagerEvent, { type: 'Complete' }>;
type Advance = Extract<PackagerEvent, { type: 'Accepted' | 'Progress' }>;

function complete(dump: Dump, event: Completed, context: FoldContext): Dump {
  const { manifest, now, archiveTtl } = context;
  if (manifest !== undefined) {
    const adopted = adoptManifest(dump, manifest, context);
    return isOf(event, manifest) ? adopted : warned(adopted, 'archive-differs', now, event.packager);
  }
  if (event.sequence !== undefined) {
    // One that has been succeeded may well have given up what it speaks of.
    if ((event.run ?? Infinity) < (dump.run ?? 0)) return dump;
    return withoutArchive({ ...dump, packager: event.packager ?? dump.packager }, now);
  }
  const archive: Archive = { kind: 'foreign', url: event.url, size: event.size ?? null };
  const omitted = event.omitted ?? 0;
  const { requested } = dump.counts;
  return {
    ...succeed(dump, archive, now, archiveTtl),
    started: dump.started ?? now,
    updated: now,
    counts: { ...dump.counts, packed: event.documents ?? requested - omitted, omitted },
  };
}

const isOf = ({ size, sha256 }: Completed, { archive }: DumpManifest): boolean =>
  (size ?? archive.size) === archive.size && (sha256 ?? archive.sha256) === archive.sha256;

function withoutArchive(dump: Dump, now: Date): Dump {
  if (dump.attempt < MAX_ATTEMPTS) return nextAttempt(dump, now, 'archive-missing');
  const detail = `The dump was asked for ${dump.attempt} times; the last time an archive was reported that is not in the store.`;
  return {
    ...warned(dump, 'archive-missing', now),
    updated: now,
    outcome: { status: 'failed', finished: now, error: { code: 'archive-missing', detail } },
  };
}

function fail(dump: Dump, event: Extract<PackagerEvent, { type: 'Failed' }>, now: Date): Dump {
  const error = { code: failureOf(event.code), detail: event.detail };
  return { ...dump, outcome: { status: 'failed', finished: now, error } };
}

function succeed(dump: Dump, archive: Archive, finished: Date, archiveTtl: number): Dump {
  const expires = new Date(finished.getTime() + archiveTtl);
  return {
    ...dump,
    outcome: { status: 'successful', finished, expires, archive },
    progress: 100,
    phase: null,
    remainingSeconds: null,
  };
}

function advance(dump: Dump, event: Advance, now: Date): Dump {
  const running: Dump = {
    ...dump,
    outcome: { status: 'running' },
    updated: now,
    taken: dump.taken ?? now,
    ticketed: dump.ticketed || event.ticket !== undefined,
  };
  const started = event.run === undefined ? (dump.started ?? now) : within(new Date(event.run), dump.created, now);
  const timeline = mergeTimelines(isSameRun(dump, event) ? dump.timeline : [], event.timeline ?? []);
  if (isSameRun(dump, event) && (event.sequence ?? Infinity) <= (dump.sequence ?? 0)) {
    return { ...running, started, timeline };
  }
  const placed: Dump = { ...takePlace(running, event, now), started, timeline };
  if (event.type === 'Accepted') return { ...placed, remainingSeconds: event.remainingSeconds ?? null };
  return {
    ...placed,
    progress: event.percent,
    phase: event.phase ?? null,
    remainingSeconds: event.remainingSeconds ?? null,
    counts: event.documents === undefined ? dump.counts : { ...dump.counts, packed: event.documents.done },
  };
}

/** An event without our headers has no place: it counts as the newest. */
function isSameRun(dump: Dump, event: PackagerEvent): boolean {
  return event.run === undefined || dump.run === null || event.run === dump.run;
}

function takePlace(dump: Dump, event: PackagerEvent, now: Date): Dump {
  return {
    ...dump,
    run: event.run ?? dump.run,
    sequence: event.sequence ?? dump.sequence,
    packager: event.packager ?? dump.packager,
    updated: now,
  };
}

/** Each phase once: from its earliest start to its latest end. */
function mergeTimelines(known: PhaseSpan[], told: PhaseSpan[]): PhaseSpan[] {
  const spans = new Map(known.map((span) => [span.phase, span]));
  for (const span of told) {
    const other = spans.get(span.phase);
    spans.set(span.phase, {
      phase: span.phase,
      started: other !== undefined && other.started < span.started ? other.started : span.started,
      ended: latest(other?.ended, span.ended),
    });
  }
  return [...spans.values()].sort((a, b) => a.started.getTime() - b.started.getTime());
}

function latest(a: Date | undefined, b: Date | undefined): Date | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return a > b ? a : b;
}

function within(moment: Date, earliest: Date, latest: Date): Date {
  if (moment < earliest) return earliest;
  return moment > latest ? latest : moment;
}
