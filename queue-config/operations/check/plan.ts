/** What is proved on a broker of one kind: what differs from broker to broker in a check is here and in its plan. */
import type { Proof } from './proof.js';
import type { Stage } from './stage.js';

export interface Plan {
  /** One after the other, before anything else: some of the attempts make queues where the broker lets them. */
  readonly first: readonly Proof[];
  /** Side by side, and told in this order; what comes first is often the cause of what follows. */
  readonly others: readonly Proof[];
  /** Takes away what proofs may have left, also those that failed half-way. */
  clear(stage: Stage): Promise<void>;
}
