/** A property that a broker must have, and how it is proved. */
import type { Stage } from './stage.js';

/** `unproved`: nothing speaks against it, but it could not be seen. */
export type Verdict = 'right' | 'wrong' | 'unproved';

export interface Outcome {
  readonly verdict: Verdict;
  /** What was seen, as a sentence. */
  readonly found: string;
}

export interface Proof {
  readonly title: string;
  /** The line of the configuration that makes it so. */
  readonly remedy: string;
  prove(stage: Stage): Promise<Outcome>;
}

export const right = (found: string): Outcome => ({ verdict: 'right', found });
export const wrong = (found: string): Outcome => ({ verdict: 'wrong', found });
export const unproved = (found: string): Outcome => ({ verdict: 'unproved', found });

/** Wrong where there are faults, which are told. */
export const judge = (faults: readonly string[], otherwise: string): Outcome =>
  faults.length === 0 ? right(otherwise) : wrong(faults.join('; '));
