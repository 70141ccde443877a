/** What has to be so on RabbitMQ, and how it is proved. STOMP tells little there; its HTTP API tells the rest. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ReceivedMessage } from '../broker.js';
import {
  DEAD_LETTERS,
  DELETE_REQUESTS,
  LARGE_PACKAGE_REQUESTS,
  PACKAGE_REQUESTS,
  type Destination,
} from '../destinations.js';
import { duration } from '../duration.js';
import type { Account } from '../operations/accounts.js';
import { heartBeats, order } from '../operations/check/delivery.js';
import type { Plan } from '../operations/check/plan.js';
import { judge, right, unproved, wrong, type Proof } from '../operations/check/proof.js';
import { logins } from '../operations/check/rights.js';
import { isRefused, sendMarked, takeMarked, type Stage } from '../operations/check/stage.js';
import type { StompConnection } from '../stomp-connection.js';
import { rabbitmq } from './dialect.js';
import type { ManagedQueue } from './management.js';
import {
  CHECK_PREFIX,
  DEAD_LETTERS_EXCHANGE,
  DEAD_LETTERS_QUEUE,
  physicalName,
  REQUESTS_EXCHANGE,
  routingKey,
} from './names.js';

const WORK = [PACKAGE_REQUESTS, LARGE_PACKAGE_REQUESTS, DELETE_REQUESTS];
const DEFINITIONS = 'load_definitions = …/definitions.json in rabbitmq.conf, as "adit queues render" writes both';
/** Statistics are as old as this at the most, and a little for the way. */
const STATISTICS_AGE = 15_000;
const MOST_READ = 400;

/** Without the HTTP API a proof is none, and that is no fault. */
const needsManagement = (proof: Proof): Proof => ({
  ...proof,
  prove: (stage) =>
    stage.management === undefined
      ? Promise.resolve(unproved('BROKER_MANAGEMENT_URL is not set: STOMP does not tell.'))
      : proof.prove(stage),
});

const managementOf = ({ management }: Stage) => {
  if (management === undefined) throw new Error('asked without BROKER_MANAGEMENT_URL');
  return management;
};

const permanentQueues = needsManagement({
  title: 'the permanent queues are there, and requests reach them',
  remedy: DEFINITIONS,
  async prove(stage) {
    const management = managementOf(stage);
    const faults: string[] = [];
    for (const queue of [...WORK, DEAD_LETTERS]) {
      const found = await management.queue(physicalName(queue));
      if (found === undefined) faults.push(`${physicalName(queue)} is not there`);
      else if (queue !== DEAD_LETTERS && found.type !== 'quorum') {
        faults.push(`${found.name} is no quorum queue: it does not count how often a request was handed out`);
      }
    }
    const reached = async (exchange: string, queues: readonly { key?: string; queue: string }[]): Promise<void> => {
      const bindings = await management.bindings(exchange);
      if (bindings === undefined) faults.push(`the exchange ${exchange} is not there`);
      for (const { key, queue } of bindings === undefined ? [] : queues) {
        const isReached = bindings?.some((bound) => bound.queue === queue && (key === undefined || bound.key === key));
        if (isReached !== true) faults.push(`what goes to the exchange ${exchange} does not reach ${queue}`);
      }
    };
    const names = WORK.map(physicalName);
    await reached(
      REQUESTS_EXCHANGE,
      names.map((queue) => ({ key: routingKey(queue), queue })),
    );
    await reached(DEAD_LETTERS_EXCHANGE, [{ queue: DEAD_LETTERS_QUEUE }]);
    return judge(faults, 'All four are there.');
  },
});

const rabbitLogins: Proof = {
  title: logins.title,
  remedy: '"users" in definitions.json; rabbitmqctl delete_user guest',
  async prove(stage) {
    const { found, verdict } = await logins.prove(stage);
    const guest = { ...stage.addresses.operator, login: 'guest', passcode: 'guest' };
    const isClosed = await isRefused(() => stage.open(guest));
    const faults = [
      ...(verdict === 'wrong' ? [found] : []),
      ...(isClosed ? [] : ['the user guest, who may do everything, gets in with the passcode that everybody knows']),
    ];
    return judge(faults, found);
  },
};

type Attempt = readonly [Account, 'write to' | 'read', string, string];

/** Expired at once, and to a key that reaches no queue: no packager gets to see it. */
const REQUEST = `/exchange/${REQUESTS_EXCHANGE}/adit-check`;
/** Where it can be made, it goes by itself. */
const ELSEWHERE = '/queue/adit-check-';
const DEAD = `/exchange/${DEAD_LETTERS_EXCHANGE}`;

async function attempt(stage: Stage, [account, what, , destination]: Attempt): Promise<void> {
  // A denial ends the connection, so each has its own; its end gives back what came.
  const connection = await stage.as(account);
  try {
    const brief = destination.startsWith(ELSEWHERE) ? { 'x-expires': '60000' } : {};
    if (what === 'write to') await connection.send(destination, { expiration: '0', ...brief }, '');
    else {
      const headers = { ack: 'client-individual', 'prefetch-count': '1' };
      await connection.subscribe(destination, headers, () => undefined).confirmed;
    }
  } finally {
    connection.drop(new Error('it was tried'));
  }
}

async function faultsOf(stage: Stage, attempts: readonly Attempt[], wanted: 'granted' | 'refused'): Promise<string[]> {
  const faults: string[] = [];
  for (const each of attempts) {
    const [account, what, name] = each;
    const refused = await isRefused(() => attempt(stage, each));
    if (refused !== (wanted === 'refused')) faults.push(`${account} ${refused ? 'cannot' : 'can'} ${what} ${name}`);
  }
  return faults;
}

const rightsGranted: Proof = {
  title: 'each account may do what it has to',
  remedy: '"permissions" in definitions.json',
  async prove(stage) {
    const events = rabbitmq.spell(stage.freshEvents());
    const attempts: Attempt[] = [
      ['api-server', 'write to', 'the exchange docsets', REQUEST],
      ['api-server', 'write to', 'the exchange docsets.dead', DEAD],
      ['api-server', 'write to', 'a progress queue', events],
      ['api-server', 'read', 'a progress queue', events],
      ['packager', 'write to', 'the exchange docsets.dead', DEAD],
      ['packager', 'write to', 'a progress queue', rabbitmq.spell(stage.freshEvents())],
    ];
    const untried: string[] = [];
    for (const queue of WORK) {
      // Reading takes what waits, and gives it back; that is counted.
      const waiting = (await stage.management?.queue(physicalName(queue)))?.messages;
      if (waiting === 0) attempts.push(['packager', 'read', physicalName(queue), rabbitmq.spell(queue)]);
      else untried.push(physicalName(queue));
    }
    const faults = await faultsOf(stage, attempts, 'granted');
    const rest =
      untried.length === 0 ? '' : ` Whether the packager can read ${untried.join(', ')} was not tried: requests wait.`;
    return judge(faults, `${attempts.length} rights were used.${rest}`);
  },
};

const rightsRefused: Proof = {
  title: 'no account may do more',
  remedy: '"permissions" in definitions.json',
  async prove(stage) {
    const events = rabbitmq.spell(stage.freshEvents());
    await attempt(stage, ['api-server', 'write to', '', events]);
    const elsewhere = `${ELSEWHERE}${stage.run}`;
    const dead: Attempt[] = (['api-server', 'packager'] as const).flatMap((account): Attempt[] => [
      [account, 'read', DEAD_LETTERS_QUEUE, rabbitmq.spell(DEAD_LETTERS)],
      [account, 'write to', 'a queue that is not of Adit', elsewhere],
      [account, 'write to', 'topics', '/topic/adit-check'],
    ]);
    const attempts: Attempt[] = [
      ...WORK.map((queue): Attempt => ['api-server', 'read', physicalName(queue), rabbitmq.spell(queue)]),
      ['packager', 'write to', 'the exchange docsets', REQUEST],
      ['packager', 'read', 'a progress queue', events],
      ...dead,
    ];
    const faults = await faultsOf(stage, attempts, 'refused');
    const limit = 'That a packager writes requests by the exchange amq.default, RabbitMQ cannot forbid.';
    return judge(faults, `${attempts.length} attempts were refused. ${limit}`);
  },
};

/** A progress queue as the policies make it. They show when the queue's first statistics come. */
async function freshProgressQueue(stage: Stage): Promise<ManagedQueue | undefined> {
  const management = managementOf(stage);
  const queue = stage.freshEvents();
  await sendMarked(await stage.as('packager'), queue, stage);
  const deadline = Date.now() + STATISTICS_AGE;
  for (;;) {
    const found = await management.queue(physicalName(queue));
    if (Object.keys(found?.policy ?? {}).length > 0 || Date.now() > deadline) return found;
    await sleep(500);
  }
}

const lives = needsManagement({
  title: 'no event lives longer than it may, and its queue goes after it',
  remedy: 'the policy adit-progress in definitions.json: "message-ttl" and "expires" for ^package\\.',
  async prove(stage) {
    const { policy = {} } = (await freshProgressQueue(stage)) ?? {};
    const [life, idle] = [policy['message-ttl'], policy['expires']];
    const faults: string[] = [];
    if (typeof life !== 'number') faults.push('an event that says nothing of it lives for ever');
    else if (life > stage.ceilingMs) faults.push(`an event lives ${duration(life)}`);
    if (typeof idle !== 'number') faults.push('a progress queue that is idle stays for ever');
    else if (typeof life === 'number' && idle < life) {
      faults.push(
        `a progress queue goes after ${duration(idle)} with what is on it, and an event may live ${duration(life)}`,
      );
    }
    const told = [life, idle].map((time) => (typeof time === 'number' ? duration(time) : '?'));
    return judge(faults, `An event lives ${told[0]} at the most; its queue goes ${told[1]} after it was last read.`);
  },
});

const LIFE = 2_000;

const expiry = needsManagement({
  title: 'an event that nobody reads expires on time, and goes nowhere',
  remedy: 'no "dead-letter-exchange" in the policy adit-progress',
  async prove(stage) {
    const queue = stage.freshEvents();
    const marked = { ...stage, run: `${stage.run}-expired` };
    const headers = { expiration: String(LIFE), persistent: 'true' };
    await sendMarked(await stage.as('packager'), queue, marked, headers);
    await sleep(LIFE + 500);
    const read = await takeMarked(await stage.as('api-server'), queue, marked, { count: 1, withinMs: 1_000 });
    const dead = await deadLettersOf(marked);
    const faults = [
      ...(read.length > 0 ? ['it was handed out after its end'] : []),
      ...(dead.length > 0 ? [`it is on ${DEAD_LETTERS_QUEUE}`] : []),
    ];
    return judge(faults, `A life of ${LIFE / 1000} s ended.`);
  },
});

async function deadLettersOf(stage: Stage): Promise<ReceivedMessage[]> {
  const letters = await managementOf(stage).browse(DEAD_LETTERS_QUEUE, MOST_READ);
  return letters.filter(({ headers }) => headers['adit_check'] === stage.run);
}

const checkQueue = ({ run }: Stage, what: string): Destination =>
  `/queue/${CHECK_PREFIX.replaceAll('.', '/')}${run}-${what}` as Destination;

/** As the work queues are. */
const QUORUM = { 'x-queue-type': 'quorum' };

/** A second and a half. */
const QUIET_TURNS = 30;

/** Refuses what comes, until nothing comes for a while or it came too often. @returns how often */
async function refuse(
  connection: StompConnection,
  queue: Destination,
  headers: Readonly<Record<string, string>>,
  most: number,
): Promise<number> {
  let came = 0;
  let quietTurns = 0;
  const subscribe = { ack: 'client-individual', 'prefetch-count': '1', ...QUORUM };
  const subscription = connection.subscribe(rabbitmq.spell(queue), subscribe, (message) => {
    came += 1;
    quietTurns = 0;
    if (came < most) connection.giveBack(message, headers);
  });
  await subscription.confirmed;
  // Turns, not the clock: where this process stands still, nothing comes either.
  while (came < most && quietTurns++ < QUIET_TURNS) await sleep(50);
  // What is left goes back, and then with the queue.
  connection.drop(new Error('it was refused'));
  return came;
}

const TOO_OFTEN = 100;

const deadLetters = needsManagement({
  title: 'what a packager refuses is a dead letter, and dead letters expire',
  remedy: 'stomp.default_nack_requeue = false in rabbitmq.conf, and the policies adit-work and adit-dead-letters',
  async prove(stage) {
    const queue = checkQueue(stage, 'refused');
    const marked = { ...stage, run: `${stage.run}-refused` };
    await sendMarked(await stage.as('operator'), queue, marked, { ...QUORUM, persistent: 'true' });
    const came = await refuse(await stage.as('operator'), queue, {}, TOO_OFTEN);
    const faults = [
      ...(came > 1 ? ['it is handed out again at once'] : []),
      ...((await deadLettersOf(marked)).length === 0 ? ['it is no dead letter'] : []),
    ];
    const life = (await managementOf(stage).queue(DEAD_LETTERS_QUEUE))?.policy['message-ttl'];
    if (typeof life !== 'number') faults.push('dead letters stay for ever');
    return judge(faults, `It is one for ${typeof life === 'number' ? duration(life) : '?'}.`);
  },
});

const crashLoop = needsManagement({
  title: 'a request that no packager survives is not handed out for ever',
  remedy: 'the policy adit-work in definitions.json: "delivery-limit" and "dead-letter-exchange", and quorum queues',
  async prove(stage) {
    const queue = checkQueue(stage, 'loop');
    const marked = { ...stage, run: `${stage.run}-loop` };
    await sendMarked(await stage.as('operator'), queue, marked, { ...QUORUM, persistent: 'true' });
    const came = await refuse(await stage.as('operator'), queue, { requeue: 'true' }, TOO_OFTEN);
    if (came >= TOO_OFTEN) return wrong(`It was handed out ${came} times, and would be again.`);
    const dead = await deadLettersOf(marked);
    return dead.length > 0
      ? right(`After ${came} times it is a dead letter.`)
      : wrong(`After ${came} times it is lost.`);
  },
});

const alarms = needsManagement({
  title: 'no alarm holds senders back',
  remedy: 'vm_memory_high_watermark.relative and disk_free_limit.absolute in rabbitmq.conf, or a larger machine',
  async prove(stage) {
    const found = await managementOf(stage).alarms();
    return judge(
      found.map(
        (alarm) => `there is too little ${alarm}: requests and events wait, and polls tell what was last known`,
      ),
      'There is memory, and room on the disk.',
    );
  },
});

const clocks = needsManagement({
  title: 'clocks agree',
  remedy: 'a time service (NTP) on the machine of the broker, and on this one',
  async prove(stage) {
    const off = Math.round((Date.now() - (await managementOf(stage).now()).getTime()) / 1000);
    const told = `The broker's is off by about ${Math.abs(off)} s`;
    return right(`${told}; lives of messages are durations here, and do not depend on it.`);
  },
});

export const rabbitmqPlan: Plan = {
  first: [permanentQueues, rabbitLogins],
  others: [rightsGranted, rightsRefused, order, lives, expiry, deadLetters, crashLoop, heartBeats, alarms, clocks],
  async clear(stage) {
    const { management } = stage;
    if (management === undefined) return;
    await takeOwnDeadLetters(stage);
    const queues = [...stage.events, checkQueue(stage, 'refused'), checkQueue(stage, 'loop')];
    for (const queue of queues) await management.deleteQueue(physicalName(queue));
  },
};

/** Takes those of the check; the others go back to where they were when the connection ends. */
async function takeOwnDeadLetters(stage: Stage): Promise<void> {
  const letters = await managementOf(stage).browse(DEAD_LETTERS_QUEUE, MOST_READ);
  const isOwn = (mark: string | undefined): boolean => mark?.startsWith(stage.run) === true;
  const own = letters.filter(({ headers }) => isOwn(headers['adit_check'])).length;
  if (own === 0) return;
  const connection = await stage.as('operator');
  const headers = { ack: 'client-individual', 'prefetch-count': String(MOST_READ) };
  const taken: Promise<void>[] = [];
  connection.subscribe(rabbitmq.spell(DEAD_LETTERS), headers, (message) => {
    if (isOwn(message.headers['adit_check'])) taken.push(connection.ack(message));
  });
  const deadline = Date.now() + 5_000;
  while (taken.length < own && Date.now() < deadline) await sleep(20);
  await Promise.all(taken);
  connection.drop(new Error('the check is over'));
}
