/** What has to be so on Artemis, and how it is proved. What nobody sees from outside its management tells. */
import { setTimeout as sleep } from 'node:timers/promises';
import { DEAD_LETTERS, DELETE_REQUESTS, LARGE_PACKAGE_REQUESTS, PACKAGE_REQUESTS } from '../destinations.js';
import { ceiling, clocks, heartBeats, order } from '../operations/check/delivery.js';
import type { Plan } from '../operations/check/plan.js';
import { judge, right, unproved, wrong, type Proof } from '../operations/check/proof.js';
import { logins, rightsGranted, rightsRefused } from '../operations/check/rights.js';
import { sendMarked, takeMarked, type Stage } from '../operations/check/stage.js';
import { artemis } from './dialect.js';
import { openManagement, physicalName, STRAYS, type ManagedQueue, type Management } from './management.js';

const LIFE = 2_000;
/** The broker looks every 30 s. */
const LONGEST_EXPIRY = 45_000;

async function managed<T>(stage: Stage, work: (management: Management) => Promise<T>): Promise<T> {
  const management = await openManagement(await stage.as('operator'));
  try {
    return await work(management);
  } finally {
    await management.close();
  }
}

async function queueOf(management: Management, name: string): Promise<ManagedQueue | undefined> {
  let found: ManagedQueue | undefined;
  await management.queues(name, (queues) => (found ??= queues.find((queue) => queue.name === name)));
  return found;
}

const permanentQueues: Proof = {
  title: 'the permanent queues are there, and the management tells of them',
  remedy:
    '<address name="docsets/package"><anycast><queue name="docsets/package"/></anycast></address>… in <addresses>',
  prove: (stage) =>
    managed(stage, async (management) => {
      const missing: string[] = [];
      for (const queue of [PACKAGE_REQUESTS, LARGE_PACKAGE_REQUESTS, DELETE_REQUESTS, DEAD_LETTERS]) {
        if ((await queueOf(management, physicalName(queue))) === undefined) missing.push(`${queue} is not there`);
      }
      return judge(missing, 'All four are there.');
    }),
};

const names: Proof = {
  title: '/queue/ is no part of a name',
  remedy:
    'anycastPrefix=/queue/ in the URL of <acceptor name="stomp">, and <delimiter>/</delimiter> in <wildcard-addresses>',
  prove: (stage) =>
    managed(stage, async (management) => {
      const queue = stage.freshEvents();
      await sendMarked(await stage.as('packager'), queue, stage, { expires: String(Date.now() + LIFE) });
      return (await queueOf(management, physicalName(queue))) === undefined
        ? wrong(`${queue} is not ${physicalName(queue)} to the broker: neither settings nor rights for package/# hold.`)
        : right(`${queue} is ${physicalName(queue)} to the broker.`);
    }),
};

const expiry: Proof = {
  title: 'an event that nobody reads expires on time, and goes nowhere',
  remedy: 'no <expiry-address> for package/#, and <message-expiry-scan-period>30000</message-expiry-scan-period>',
  prove: (stage) =>
    managed(stage, async (management) => {
      const counted = async (): Promise<number> => {
        let sum = 0;
        for (const stray of STRAYS) sum += (await queueOf(management, stray))?.enqueued ?? 0;
        return sum;
      };
      const strays = await counted();
      const queue = stage.freshEvents();
      const sent = Date.now();
      const headers = { ...artemis.sendHeaders(queue), expires: String(sent + LIFE), persistent: 'true' };
      await sendMarked(await stage.as('packager'), queue, stage, headers);
      const waits = async (): Promise<boolean> =>
        ((await queueOf(management, physicalName(queue)))?.messages ??
          (await queueOf(management, queue))?.messages ??
          0) > 0;
      do await sleep(1_000);
      while ((await waits()) && Date.now() - sent < LONGEST_EXPIRY);
      const faults = (await waits()) ? [`it lay there ${LONGEST_EXPIRY / 1000} s after its end`] : [];
      const read = await takeMarked(await stage.as('api-server'), queue, stage, { count: 1, withinMs: 1_000 });
      if (read.length > 0) faults.push('it was handed out after its end');
      if ((await counted()) > strays) faults.push(`it, or one like it, is on ${STRAYS.join(' or ')}`);
      return judge(faults, `A life of ${LIFE / 1000} s ended within ${Math.ceil((Date.now() - sent) / 1000)} s.`);
    }),
};

const idleQueues: Proof = {
  title: 'an empty idle queue goes by itself',
  remedy:
    '<auto-delete-queues>true, <auto-delete-queues-delay>600000 and <auto-delete-queues-skip-usage-check>true for package/#',
  prove: (stage) =>
    managed(stage, async (management) => {
      const queue = stage.freshEvents();
      await sendMarked(await stage.as('packager'), queue, stage, { expires: String(Date.now() + 600_000) });
      await takeMarked(await stage.as('api-server'), queue, stage, { count: 1 });
      const began = Date.now();
      while (Date.now() - began < stage.waitMs) {
        if ((await queueOf(management, physicalName(queue))) === undefined) {
          return right(`It was gone ${Math.ceil((Date.now() - began) / 1000)} s later.`);
        }
        await sleep(Math.min(1_000, stage.waitMs));
      }
      return unproved(
        `It was there ${Math.round(stage.waitMs / 1000)} s later; wait longer than the idle time: --wait 12m.`,
      );
    }),
};

const DELIVERIES = 'max-delivery-attempts';

/** What cannot be tried without ten dead consumers is asked. */
const deadLetters: Proof = {
  title: 'a request that kills its consumers is a dead letter, an event never is',
  remedy: `<dead-letter-address>docsets/dead and <${DELIVERIES}>10 for docsets/#; <${DELIVERIES}>-1 for package/# and docsets/dead`,
  prove: (stage) =>
    managed(stage, async (management) => {
      const faults: string[] = [];
      const work = await management.settingsOf(physicalName(PACKAGE_REQUESTS));
      if (work.deadLetterAddress !== physicalName(DEAD_LETTERS)) {
        faults.push(`a dead request goes to ${work.deadLetterAddress ?? 'nowhere'}`);
      }
      for (const name of ['package/check', physicalName(DEAD_LETTERS)]) {
        const { maxDeliveryAttempts = 10 } = await management.settingsOf(name);
        if (maxDeliveryAttempts !== -1) faults.push(`${name} is given up after ${maxDeliveryAttempts} attempts`);
      }
      const { maxExpiryDelay = -1 } = await management.settingsOf(physicalName(DEAD_LETTERS));
      if (maxExpiryDelay < 0) faults.push('dead letters stay for ever');
      return judge(faults, `After ${work.maxDeliveryAttempts ?? 10} consumers; dead letters expire.`);
    }),
};

const drains: Proof = {
  title: 'one drain at a time reads a progress queue',
  remedy: '<default-exclusive-queue>true for package/#',
  prove: (stage) =>
    managed(stage, async (management) => {
      const { defaultExclusiveQueue } = await management.settingsOf('package/check');
      return defaultExclusiveQueue === true
        ? right('Queues are exclusive.')
        : wrong('Two drains would share the events.');
    }),
};

/** What else the proofs sent expires within ten minutes, and its queues go with it. */
const takeStrays = (stage: Stage): Promise<void> =>
  managed(stage, async (management) => {
    for (const stray of STRAYS) {
      const { messages = 0 } = (await queueOf(management, stray)) ?? {};
      if (messages > 0) await takeMarked(await stage.as('operator'), stray, stage, { count: messages, withinMs: 500 });
    }
  });

const withRemedy = (proof: Proof, remedy: string): Proof => ({ ...proof, remedy });
const RIGHTS = '<security-setting match="package/#">, "docsets/package"… with <permission type="send" roles="…"/>…';

export const artemisPlan: Plan = {
  first: [
    permanentQueues,
    withRemedy(
      logins,
      'login.config and artemis-users.properties, as "adit queues render" writes them; no guest login',
    ),
  ],
  others: [
    withRemedy(rightsGranted, RIGHTS),
    withRemedy(rightsRefused, RIGHTS),
    names,
    order,
    drains,
    expiry,
    withRemedy(ceiling, '<max-expiry-delay>86400000, and no <expiry-delay>, for package/#'),
    idleQueues,
    deadLetters,
    withRemedy(
      heartBeats,
      'no heartBeatToConnectionTtlModifier or connectionTtlMax in the URL of <acceptor name="stomp">',
    ),
    clocks,
  ],
  clear: takeStrays,
};
