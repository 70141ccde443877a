/** What becomes of messages: names, order, lives, ends. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ReceivedMessage } from '../../broker.js';
import { DEAD_LETTERS, DELETE_REQUESTS, LARGE_PACKAGE_REQUESTS, PACKAGE_REQUESTS } from '../../destinations.js';
import type { StompConnection } from '../../stomp-connection.js';
import { browse } from '../browse.js';
import { NoStatisticsError } from '../statistics.js';
import { judge, right, unproved, wrong, type Outcome, type Proof } from './proof.js';
import { clear, markedBy, sendMarked, takeMarked, type Stage } from './stage.js';

/** Where the broker puts dead letters of its own accord. */
export const STRAYS = '/queue/ActiveMQ.DLQ';

export const permanentQueues: Proof = {
  title: 'the permanent queues are there, and statistics tell of them',
  remedy: '<statisticsBrokerPlugin/>, and <queue physicalName="docsets.package"/>… in <destinations>',
  async prove(stage) {
    const operator = await stage.as('operator');
    const missing: string[] = [];
    try {
      for (const queue of [PACKAGE_REQUESTS, LARGE_PACKAGE_REQUESTS, DELETE_REQUESTS, DEAD_LETTERS]) {
        if ((await stage.statisticsOf(operator, queue)) === undefined) missing.push(`${queue} is not there`);
      }
    } catch (error) {
      if (error instanceof NoStatisticsError) return wrong('The broker answers no question for statistics.');
      throw error;
    }
    return judge(missing, 'All four are there.');
  },
};

export const names: Proof = {
  title: 'a slash separates the words of a name',
  remedy: '<destinationPathSeparatorPlugin pathSeparator="/"/>, as the last of <plugins>',
  async prove(stage) {
    const queue = stage.freshEvents();
    const [message] = await sendAndTake(stage, queue, [soon()]);
    const shown = message?.headers['destination'];
    return shown === `/queue/${queue.slice('/queue/'.length).replaceAll('/', '.')}`
      ? right(`${queue} is ${shown} to the broker: policies and rights for package.> hold for it.`)
      : wrong(`${queue} is ${shown ?? 'lost'} to the broker: neither policies nor rights for package.> hold for it.`);
  },
};

/** The stock cursor hands persistent messages out before older ones that are not. */
export const order: Proof = {
  title: 'progress and its end come in order',
  remedy: '<pendingQueuePolicy><fileQueueCursor/></pendingQueuePolicy> in <policyEntry queue="package.>">',
  async prove(stage) {
    const count = 20;
    const headers = Array.from({ length: count }, (_, index) => ({
      ...soon(),
      ...(index % 3 === 2 ? { persistent: 'true' } : {}),
    }));
    const came = (await sendAndTake(stage, stage.freshEvents(), headers)).map(({ body }) => body);
    const expected = headers.map((_, index) => String(index));
    return came.join() === expected.join()
      ? right(`${count} events came as they were sent.`)
      : wrong(`${count} events, one in three persistent, came as ${came.join(' ')}.`);
  },
};

export const ceiling: Proof = {
  title: 'no event lives longer than it may',
  remedy: '<timeStampingBrokerPlugin ttlCeiling="86400000" zeroExpirationOverride="86400000"/>',
  async prove(stage) {
    const month = { expires: String(Date.now() + 30 * 86_400_000) };
    const came = await sendAndTake(stage, stage.freshEvents(), [{}, month]);
    const latest = Date.now() + stage.ceilingMs + 60_000;
    const faults = ['one that says nothing of it', 'one that asks for a month'].flatMap((which, index) => {
      const expires = Number(came[index]?.headers['expires'] ?? 0);
      if (expires === 0) return [`${which} lives for ever`];
      return expires > latest ? [`${which} lives until ${new Date(expires).toISOString()}`] : [];
    });
    return judge(faults, `Without an expiry, or with one in a month, it is ${stage.ceilingMs / 3_600_000} h.`);
  },
};

const SLACK = 1_000;

export const clocks: Proof = {
  title: 'clocks agree within a second',
  remedy: 'a time service (NTP) on the machine of the broker, and on this one',
  async prove(stage) {
    const before = Date.now();
    const [message] = await sendAndTake(stage, stage.freshEvents(), [soon()]);
    const after = Date.now();
    const stamp = Number(message?.headers['timestamp'] ?? 0);
    if (stamp === 0) return unproved('The broker puts no time on messages.');
    // It was stamped at some moment between the two.
    const off = stamp < before ? stamp - before : Math.max(0, stamp - after);
    return Math.abs(off) <= SLACK
      ? right(`The broker's is off by ${Math.abs(off)} ms at least.`)
      : wrong(`The broker's is ${Math.abs(off)} ms ${off > 0 ? 'ahead' : 'behind'}: events expire too early or late.`);
  },
};

/** As drains do. */
const BEAT = 2_000;

export const heartBeats: Proof = {
  title: 'heart-beats are kept',
  remedy: 'no transport.hbGracePeriodMultiplier or heart-beat limits on <transportConnector name="stomp" …>',
  async prove(stage) {
    const first = await keepSilent(stage);
    // A machine that was too busy to beat for a moment is no fault of the broker's.
    return first.verdict === 'right' ? first : keepSilent(stage);
  },
};

async function keepSilent(stage: Stage): Promise<Outcome> {
  const connection = await stage.open(stage.addresses['api-server'], BEAT);
  const [offered = 0] = (connection.connected['heart-beat'] ?? '').split(',').map(Number);
  if (offered === 0) return wrong('The broker sends none: a frozen one would not be noticed.');
  await sleep(3 * BEAT);
  return connection.lost.aborted
    ? wrong(`A silent connection did not last: ${String(connection.lost.reason)}`)
    : right(`One each ${offered} ms kept a silent connection for ${(3 * BEAT) / 1000} s.`);
}

const LIFE = 2_000;
/** The broker looks every 30 s. */
const LONGEST_EXPIRY = 45_000;

export const expiry: Proof = {
  title: 'an event that nobody reads expires on time, and goes nowhere',
  remedy:
    'expireMessagesPeriod="30000" and <sharedDeadLetterStrategy processExpired="false" …/> in <policyEntry queue="package.>">',
  async prove(stage) {
    const queue = stage.freshEvents();
    const expires = String(Date.now() + LIFE);
    await sendMarked(await stage.as('packager'), queue, stage, { expires, persistent: 'true' });
    const operator = await stage.as('operator');
    const sent = Date.now();
    const went = await untilGone(stage, operator, queue);
    const reader = await stage.as('api-server');
    const read = await takeMarked(reader, queue, stage, { count: 1, withinMs: 1_000 });
    const faults = [
      ...(went === 'never' ? [`it lay there ${LONGEST_EXPIRY / 1000} s after its end`] : []),
      ...(read.length > 0 ? ['it was handed out after its end'] : []),
    ];
    for (const elsewhere of [DEAD_LETTERS, STRAYS]) {
      if ((await existing(stage, operator, elsewhere)) && (await countMarked(operator, elsewhere, stage)) > 0) {
        faults.push(`it is on ${elsewhere}`);
      }
    }
    return judge(faults, `A life of ${LIFE / 1000} s ended within ${Math.ceil((Date.now() - sent) / 1000)} s.`);
  },
};

/** Waits until the broker has thrown it away by itself; without statistics, until it must be too old to be read. */
async function untilGone(stage: Stage, operator: StompConnection, queue: string): Promise<'gone' | 'never' | 'unseen'> {
  const deadline = Date.now() + LONGEST_EXPIRY;
  await sleep(LIFE);
  while (Date.now() < deadline) {
    try {
      if (((await stage.statisticsOf(operator, queue))?.messages ?? 0) === 0) return 'gone';
    } catch (error) {
      if (error instanceof NoStatisticsError) return 'unseen';
      throw error;
    }
    await sleep(1_000);
  }
  return 'never';
}

/** Whether a queue is there, where the broker tells: looking at one that is not would make it. */
export async function existing(stage: Stage, operator: StompConnection, queue: string): Promise<boolean> {
  try {
    return (await stage.statisticsOf(operator, queue)) !== undefined;
  } catch (error) {
    if (error instanceof NoStatisticsError) return true;
    throw error;
  }
}

const countMarked = async (connection: StompConnection, queue: string, stage: Stage): Promise<number> =>
  (await browse(connection, queue, { selector: markedBy(stage) })).length;

export const workQueueOf = ({ run }: Stage): string => `/queue/docsets/check/${run}`;

export const deadLetters: Proof = {
  title: 'what a packager refuses is a dead letter, and dead letters expire',
  remedy:
    '<sharedDeadLetterStrategy … expiration="1209600000"> with <queue physicalName="docsets.dead"/> in <policyEntry queue="docsets.>">',
  async prove(stage) {
    const queue = workQueueOf(stage);
    const operator = await stage.as('operator');
    const marked = { ...stage, run: `${stage.run}-refused` };
    await sendMarked(operator, queue, marked, { persistent: 'true' });
    await takeMarked(operator, queue, marked, { count: 1, refuse: true });
    const [letter] = await takeMarked(operator, DEAD_LETTERS, marked, { count: 1, withinMs: 2_000 });
    if (letter !== undefined) {
      const expires = Number(letter.headers['expires'] ?? 0);
      if (expires === 0) return wrong('It is a dead letter, which stays for ever.');
      return right(`It is one until ${new Date(expires).toISOString().slice(0, 10)}.`);
    }
    const stray = (await existing(stage, operator, STRAYS)) ? await clear(operator, STRAYS, marked) : 0;
    return wrong(stray > 0 ? `It went to ${STRAYS}.` : 'It is lost.');
  },
};

export const idleQueues: Proof = {
  title: 'an empty idle queue goes by itself',
  remedy:
    'schedulePeriodForDestinationPurge="60000" of <broker>, and gcInactiveDestinations="true" inactiveTimeoutBeforeGC="600000" in <policyEntry queue="package.>">',
  async prove(stage) {
    const queue = stage.freshEvents();
    const [message] = await sendAndTake(stage, queue, [soon()]);
    if (message?.headers['destination'] === queue) return wrong('No policy for package.> holds for it: see the names.');
    const operator = await stage.as('operator');
    const began = Date.now();
    try {
      while (Date.now() - began < stage.waitMs) {
        if ((await stage.statisticsOf(operator, queue)) === undefined) {
          return right(`It was gone ${Math.ceil((Date.now() - began) / 1000)} s later.`);
        }
        await sleep(Math.min(1_000, stage.waitMs));
      }
    } catch (error) {
      if (error instanceof NoStatisticsError) return unproved('Without statistics, nobody sees whether it goes.');
      throw error;
    }
    return unproved(
      `It was there ${Math.round(stage.waitMs / 1000)} s later; wait longer than the idle time: --wait 12m.`,
    );
  },
};

/** An expiry that nobody waits for. */
const soon = (): Readonly<Record<string, string>> => ({ expires: String(Date.now() + 600_000) });

/** Sends as the packager, a message for each set of headers, and takes them as the api-server. */
async function sendAndTake(
  stage: Stage,
  queue: string,
  messages: readonly Readonly<Record<string, string>>[],
): Promise<ReceivedMessage[]> {
  const packager = await stage.as('packager');
  for (const [index, headers] of messages.entries()) await sendMarked(packager, queue, stage, headers, String(index));
  return takeMarked(await stage.as('api-server'), queue, stage, { count: messages.length });
}
