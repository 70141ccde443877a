/** Proves on the live broker that it is set up as the contract needs it. */
import { artemisPlan } from '../../artemis/check.js';
import { BrokerRefusedError } from '../../broker.js';
import type { DialectName } from '../../dialect.js';
import { DEAD_LETTERS } from '../../destinations.js';
import { rabbitmqPlan } from '../../rabbitmq/check.js';
import { ceiling, clocks, deadLetters, existing, expiry, heartBeats } from './delivery.js';
import { idleQueues, names, order, permanentQueues, STRAYS, workQueueOf } from './delivery.js';
import type { Plan } from './plan.js';
import { unproved, wrong, type Outcome, type Proof } from './proof.js';
import { logins, rightsGranted, rightsRefused } from './rights.js';
import { clear, openStage, type CheckOptions, type Stage } from './stage.js';

export interface Finding extends Outcome {
  readonly title: string;
  /** The line of the configuration that mends it. */
  readonly remedy: string;
}

const activemqPlan: Plan = {
  first: [permanentQueues, logins],
  others: [rightsGranted, rightsRefused, names, order, expiry, ceiling, idleQueues, deadLetters, heartBeats, clocks],
  clear: clearAll,
};

const PLANS: Partial<Record<DialectName, Plan>> = {
  activemq: activemqPlan,
  artemis: artemisPlan,
  rabbitmq: rabbitmqPlan,
};
const planFor = (dialect: DialectName): Plan => PLANS[dialect] ?? activemqPlan;

/**
 * One finding for each proof. No message stays on the broker; the empty queues of the check go as all idle ones do.
 * @throws {BrokerUnavailableError | BrokerRefusedError} the operator cannot connect at all
 */
export async function checkQueues(options: CheckOptions): Promise<Finding[]> {
  const stage = openStage(options);
  try {
    const { dialect } = await stage.as('operator');
    const plan = planFor(dialect.name);
    const first: Finding[] = [];
    for (const proof of plan.first) first.push(await findingOf(proof, stage));
    // A login that is missing is told once; of what it would have shown nothing is known then.
    const ofRefusal = first.some(({ title, verdict }) => title === logins.title && verdict === 'wrong')
      ? unproved
      : wrong;
    const others = await Promise.all(plan.others.map((proof) => findingOf(proof, stage, ofRefusal)));
    await plan.clear(stage);
    return [...first, ...others];
  } finally {
    stage.close();
  }
}

async function findingOf(proof: Proof, stage: Stage, ofRefusal = wrong): Promise<Finding> {
  const { title, remedy } = proof;
  try {
    return { title, remedy, ...(await proof.prove(stage)) };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const outcome = error instanceof BrokerRefusedError ? ofRefusal(`It could not be tried: ${reason}`) : wrong(reason);
    return { title, remedy, ...outcome };
  }
}

/** What a proof that failed half-way may have left. */
async function clearAll(stage: Stage): Promise<void> {
  const operator = await stage.as('operator');
  for (const queue of [...stage.events, workQueueOf(stage), DEAD_LETTERS, STRAYS]) {
    if (await existing(stage, operator, queue)) await clear(operator, queue, stage);
  }
}
