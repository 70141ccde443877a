/** A dump: what a miner asked for, how far it is, and how it ended (design §4). */
import type { Container, Phase, PhaseSpan } from '../../queue-config/index.js';
import type { FailureSlug } from './failures.js';
import { withWarning, type Warning, type WarningCode } from './warnings.js';

/** Where the finished archive is. */
export type Archive =
  | { kind: 'stored'; key: string; size: number; sha256: string }
  /** Put somewhere of its own choosing by a packager of another make. */
  | { kind: 'foreign'; url: string; size: number | null };

/** In documents; `requested = packed + omitted` once the dump is successful. */
export interface Counts {
  requested: number;
  packed: number;
  omitted: number;
  /** Of a dump that is relative to an earlier one: `requested = added + changed`. */
  added?: number;
  changed?: number;
  withdrawn?: number;
}

/** The state, with what only that state has. All but the first two are terminal, and a terminal state is sticky. */
export type Outcome =
  | { status: 'accepted' }
  | { status: 'running' }
  | { status: 'successful'; finished: Date; expires: Date; archive: Archive }
  | { status: 'failed'; finished: Date; error: { code: FailureSlug; detail: string } }
  | { status: 'dismissed'; finished: Date }
  | { status: 'expired'; finished: Date; expires: Date; archive: Archive };

export type Status = Outcome['status'];

export interface Dump {
  id: string;
  docset: string;
  /** The docset's revision that was asked for. */
  docsetRevision: number;
  /** Sorted, so that the same set of formats is the same text. */
  formats: string[];
  container: Container;
  /** Id of the dump that it is relative to: only what has changed since is in it. Null: it is of the whole docset. */
  since: string | null;
  outcome: Outcome;
  /** How often the package request was sent: 1, 2, 3. Events of an older attempt are fenced off. */
  attempt: number;
  /** When the broker confirmed the request of this attempt; null: not yet. */
  published: Date | null;
  /** What the tickets of its attempts are made from. */
  ticketSeed: string;
  /** Whether a packager with the ticket has taken this attempt: then nobody without it is listened to. */
  ticketed: boolean;
  /** When we first heard of a packager in this attempt. */
  taken: Date | null;
  /** The name of the packager that was heard of last in this attempt; null where it did not say. */
  packager: string | null;
  /** Place of the newest event folded in: run of the attempt and sequence within it. */
  run: number | null;
  sequence: number | null;
  /** 0 to 100. */
  progress: number;
  phase: Phase | null;
  remainingSeconds: number | null;
  created: Date;
  started: Date | null;
  /** When we last heard of it. */
  updated: Date;
  counts: Counts;
  timeline: PhaseSpan[];
  warnings: Warning[];
  /** When the deletion of its storage was ordered; null: not yet. */
  storageFreed: Date | null;
}

/** True while somebody may still build it. */
export function isLive({ outcome }: Pick<Dump, 'outcome'>): boolean {
  switch (outcome.status) {
    case 'accepted':
    case 'running':
      return true;
    case 'successful':
    case 'failed':
    case 'dismissed':
    case 'expired':
      return false;
  }
}

/** The dump as it is at a moment: a successful one whose time is over has expired. */
export function asOf(dump: Dump, now: Date): Dump {
  const { outcome } = dump;
  if (outcome.status !== 'successful' || outcome.expires > now) return dump;
  return { ...dump, outcome: { ...outcome, status: 'expired' } };
}

/** What is known of an attempt that no packager has taken yet. */
const NOT_TAKEN = {
  outcome: { status: 'accepted' },
  published: null,
  ticketed: false,
  taken: null,
  packager: null,
  run: null,
  sequence: null,
  progress: 0,
  phase: null,
  remainingSeconds: null,
} as const;

/** A new dump, asked for but not yet published. */
export function newDump({
  requested,
  delta = {},
  now,
  ...facts
}: Pick<Dump, 'id' | 'docset' | 'docsetRevision' | 'formats' | 'container' | 'since' | 'ticketSeed'> & {
  requested: number;
  delta?: Pick<Counts, 'added' | 'changed' | 'withdrawn'>;
  now: Date;
}): Dump {
  return {
    ...NOT_TAKEN,
    ...facts,
    timeline: [],
    warnings: [],
    attempt: 1,
    created: now,
    started: null,
    updated: now,
    counts: { requested, packed: 0, omitted: 0, ...delta },
    storageFreed: null,
  };
}

/** The dump asked for once more, and why: whatever the packager of the attempt before still says is fenced off. */
export function nextAttempt(dump: Dump, now: Date, why: WarningCode): Dump {
  return {
    ...warned(dump, why, now),
    ...NOT_TAKEN,
    timeline: [],
    attempt: dump.attempt + 1,
    updated: now,
    counts: { ...dump.counts, packed: 0, omitted: 0 },
  };
}

/** The dump with a warning about the packager that has it, or about the one that is named. */
export function warned(dump: Dump, code: WarningCode, now: Date, packager: string | null = dump.packager): Dump {
  const { warnings, attempt } = dump;
  return { ...dump, warnings: withWarning(warnings, { code, packager, attempt, now }) };
}
