/** What an event does to a dump. Pure, idempotent, and free of the order in which events come (design §3). */
import type { DumpManifest, PackagerEvent, PhaseSpan } from '../../queue-config/index.js';
import { isLive, type Archive, type Dump } from './dump.js';
import { failureOf } from './failures.js';

/** How far a packager's clock may be ahead of ours, in milliseconds. */
const CLOCK_ALLOWANCE = 60 * 60 * 1000;

export interface FoldContext {
  now: Date;
  /** How long an archive is kept, in milliseconds. */
  archiveTtl: number;
  /** What the packager wrote last at this attempt's key; undefined where nothing is there. */
  manifest?: DumpManifest | undefined;
}

/**
 * The dump after an event.
 *
 * - A terminal state is sticky.
 * - An event of an attempt that is over, or that we never asked for, changes nothing.
 * - The later run of an attempt wins; within a run the higher sequence, and a lower one changes nothing but the timeline.
 * - `Complete` from a packager that knows our headers counts only with its manifest: that, not the message, is the result.
 */
export function foldEvent(dump: Dump, event: PackagerEvent, context: FoldContext): Dump {
  if (!isLive(dump)) return dump;
  if (event.attempt !== undefined && event.attempt !== dump.attempt) return dump;
  // It would outrank every honest run that follows.
  if (event.run !== undefined && event.run > context.now.getTime() + CLOCK_ALLOWANCE) return dump;
  switch (event.type) {
    case 'Complete':
      return complete(dump, event, context);
    case 'Failed':
      return isOlderRun(dump, event) ? dump : fail(takePlace(dump, event, context.now), event, context.now);
    case 'Accepted':
    case 'Progress':
      return advance(dump, event, context.now);
  }
}

/** The dump once its manifest is found, with or without the news of it. */
export function adoptManifest(dump: Dump, manifest: DumpManifest, { now, archiveTtl }: FoldContext): Dump {
  const { key, size, sha256 } = manifest.archive;
  const finished = new Date(manifest.completed);
  return {
    ...succeed(dump, { kind: 'stored', key, size, sha256 }, finished, archiveTtl),
    started: dump.started ?? new Date(manifest.run),
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
  if (context.manifest !== undefined) return adoptManifest(dump, context.manifest, context);
  const { now, archiveTtl } = context;
  if (event.sequence !== undefined) {
    const detail = 'The packager reported an archive that is not in the store.';
    return {
      ...dump,
      updated: now,
      outcome: { status: 'failed', finished: now, error: { code: 'archive-missing', detail } },
    };
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
  if (isOlderRun(dump, event)) return dump;
  const running: Dump = { ...dump, outcome: { status: 'running' }, updated: now };
  const started = event.run === undefined ? (dump.started ?? now) : new Date(event.run);
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
function isOlderRun(dump: Dump, event: PackagerEvent): boolean {
  return event.run !== undefined && dump.run !== null && event.run < dump.run;
}

function isSameRun(dump: Dump, event: PackagerEvent): boolean {
  return event.run === undefined || dump.run === null || event.run === dump.run;
}

function takePlace(dump: Dump, event: PackagerEvent, now: Date): Dump {
  return { ...dump, run: event.run ?? dump.run, sequence: event.sequence ?? dump.sequence, updated: now };
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
