/** How far a dump is, as the packager says it: nothing here is guessed between two answers but the seconds that pass. */
import { useEffect, useState } from 'preact/hooks';
import { count, number, span, when } from '../foundation/words.js';
import type { Dump } from './dump-address.js';

const PHASES = {
  listing: ['Listing', 'the members of the docset'],
  packaging: ['Packaging', 'the documents'],
  uploading: ['Uploading', 'the archive'],
  verifying: ['Verifying', 'what was stored'],
} as const;
type Phase = keyof typeof PHASES;

/** @param at when the dump was as it is here, in milliseconds since the epoch */
export function DumpProgress({ dump, at }: { dump: Dump; at: number }) {
  const passed = useSecondsSince(at);
  return (
    <section aria-labelledby="progress-heading">
      <h2 id="progress-heading" class="unseen">
        Progress
      </h2>
      <div class="gauge">
        <progress max={100} value={dump.progress} aria-label="Progress of the dump">
          {dump.progress}%
        </progress>
        <p class="gauge-line">
          <strong>{dump.progress}%</strong>
          <span>
            {number(dump.counts.packed)} of {count(dump.counts.requested, 'document')}
          </span>
          <span>{timeLeft(dump, passed)}</span>
        </p>
      </div>
      <Timeline of={dump} passed={passed} />
    </section>
  );
}

function timeLeft({ status, remaining_seconds: remaining }: Dump, passed: number): string {
  if (status === 'accepted') return 'not begun yet';
  if (remaining === null) return 'no estimate yet';
  const left = remaining - passed;
  if (left > 0) return `${span(left)} left`;
  return left > -10 ? 'any moment now' : 'longer than was estimated';
}

/** Whole seconds; while the tab is hidden nothing is drawn. */
function useSecondsSince(at: number): number {
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    setNow(Date.now());
    const timer = setInterval(() => {
      if (document.visibilityState === 'visible') setNow(Date.now());
    }, 1_000);
    return () => clearInterval(timer);
  }, [at]);
  return Math.max(0, Math.floor((now - at) / 1_000));
}

/** The phases in their order: done with how long they took, under way, or still to come. */
export function Timeline({ of: dump, passed = 0 }: { of: Dump; passed?: number }) {
  // By the server's clock: this computer's may be another.
  const now = Date.parse(dump.updated) + passed * 1_000;
  return (
    <ol class="timeline" aria-label="Phases">
      {(Object.keys(PHASES) as Phase[]).map((phase) => {
        const known = dump.timeline.find((each) => each.phase === phase);
        const state = stateOf(known, dump.done);
        const [name, what] = PHASES[phase];
        return (
          <li key={phase} class={state} aria-current={state === 'current' && !dump.done ? 'step' : undefined}>
            <span class="phase">{name}</span>
            <span class="hint">{known === undefined ? wordsFor(state, what) : took(known, now)}</span>
          </li>
        );
      })}
    </ol>
  );
}

const stateOf = (known: { ended: string | null } | undefined, isOver: boolean): string => {
  if (known === undefined) return isOver ? 'skipped' : 'to-come';
  return known.ended === null ? 'current' : 'done';
};

const wordsFor = (state: string, what: string): string => (state === 'skipped' ? 'not told' : what);

function took({ started, ended }: { started: string; ended: string | null }, now: number): string {
  const seconds = ((ended === null ? now : Date.parse(ended)) - Date.parse(started)) / 1_000;
  return ended === null ? `for ${span(Math.max(0, seconds))}` : span(Math.max(0, seconds));
}

/** When it was asked for, begun and finished. */
export function Moments({ of: dump }: { of: Dump }) {
  const moments: [string, string | null][] = [
    ['Asked for', dump.created],
    ['Begun', dump.started],
    ['Finished', dump.finished],
    ['Kept until', dump.expires],
  ];
  return (
    <dl class="moments">
      {moments.map(
        ([what, moment]) =>
          moment !== null && (
            <div key={what}>
              <dt>{what}</dt>
              <dd>
                <time dateTime={moment}>{when(moment)}</time>
              </dd>
            </div>
          ),
      )}
    </dl>
  );
}
