/** The worst that is done to a service, each for a while, and mended by the one who did it. */
import { setTimeout as sleep } from 'node:timers/promises';
import { connectStomp } from '../servers/stomp-peer.js';
import { waitUntil } from '../servers/wait-until.js';
import type { Field } from './field.js';
import type { Weather } from './fault-line.js';

/** What is struck. Two blows on one target wait for each other. */
export type Target = 'broker' | 'packager' | 'api-server' | 'database' | 'store';

export interface Blow {
  readonly name: string;
  readonly target: Target;
  /** Milliseconds that it lasts. */
  readonly lasts: readonly [least: number, most: number];
  /** @param choice which of several is struck: any whole number */
  strike(field: Field, lasts: number, choice: number): Promise<void>;
}

const packagerOf = ({ packagers }: Field, choice: number) => {
  const packager = packagers[choice % packagers.length];
  if (packager === undefined) throw new RangeError('there is no packager to strike');
  return packager;
};

const weather =
  (bad: (choice: number) => Weather): Blow['strike'] =>
  async ({ storeLine }, lasts, choice) => {
    storeLine.weather(bad(choice));
    await sleep(lasts);
    storeLine.weather({});
  };

export const BLOWS = {
  'broker-killed': {
    name: 'broker-killed',
    target: 'broker',
    lasts: [0, 3_000],
    async strike({ broker }, lasts) {
      await broker.kill();
      await sleep(lasts);
      await broker.restart();
    },
  },
  'broker-frozen': {
    name: 'broker-frozen',
    target: 'broker',
    lasts: [1_000, 8_000],
    async strike({ broker }, lasts) {
      broker.freeze();
      await sleep(lasts);
      broker.thaw();
    },
  },
  'packager-killed': {
    name: 'packager-killed',
    target: 'packager',
    lasts: [0, 500],
    async strike(field, lasts, choice) {
      const packager = packagerOf(field, choice);
      await packager.kill();
      await sleep(lasts);
      await packager.restart();
    },
  },
  'packager-frozen': {
    name: 'packager-frozen',
    target: 'packager',
    lasts: [8_000, 15_000],
    async strike(field, lasts, choice) {
      const packager = packagerOf(field, choice);
      packager.freeze();
      await sleep(lasts);
      packager.thaw();
    },
  },
  'api-server-killed': {
    name: 'api-server-killed',
    target: 'api-server',
    lasts: [0, 2_000],
    async strike({ api }, lasts) {
      await api.kill();
      await sleep(lasts);
      await api.restart();
    },
  },
  'database-killed': {
    name: 'database-killed',
    target: 'database',
    lasts: [0, 3_000],
    async strike({ ground }, lasts) {
      await ground.postgresql.kill();
      await sleep(lasts);
      // What is left of the killed one may hold its memory for a moment.
      await waitUntil('the database is back', async () => {
        await ground.postgresql.restart();
        return true;
      });
    },
  },
  'database-stopped': {
    name: 'database-stopped',
    target: 'database',
    lasts: [0, 5_000],
    async strike({ ground }, lasts) {
      await ground.postgresql.stop();
      await sleep(lasts);
      await ground.postgresql.restart();
    },
  },
  'store-refuses': {
    name: 'store-refuses',
    target: 'store',
    lasts: [500, 4_000],
    strike: weather(() => ({ refuses: true })),
  },
  'store-slow': {
    name: 'store-slow',
    target: 'store',
    lasts: [2_000, 10_000],
    strike: weather((choice) => ({ delay: 100 + (choice % 400) })),
  },
  'store-cuts': {
    name: 'store-cuts',
    target: 'store',
    lasts: [2_000, 10_000],
    strike: weather((choice) => {
      let cuts = choice;
      // From a few bytes, within the head of an answer, to several megabytes.
      return { cutAfter: () => 2 ** (6 + ((cuts += 7) % 18)) };
    }),
  },
  'broker-memory-full': {
    name: 'broker-memory-full',
    target: 'broker',
    lasts: [3_000, 8_000],
    async strike({ broker }, lasts) {
      await fillMemory(broker.url('packager').split(',')[0] ?? '', lasts);
    },
  },
} as const satisfies Record<string, Blow>;

export type BlowName = keyof typeof BLOWS;

const FILLING = 100 * 1024;

/** Fills the broker with what only memory holds, up to 40 MB: more than its limit and less than its heap; it is gone when it expires. */
async function fillMemory(url: string, lasts: number): Promise<void> {
  const expires = String(Date.now() + lasts);
  const peer = await connectStomp(url);
  try {
    for (let sent = 0; sent < 400 && Date.now() < Number(expires); sent++) {
      await peer.request('SEND', { destination: '/queue/package/filling', expires }, 'x'.repeat(FILLING));
    }
    await sleep(Math.max(0, Number(expires) - Date.now()));
  } catch {
    // It takes no more, as was wanted.
    await sleep(Math.max(0, Number(expires) - Date.now()));
  } finally {
    peer.destroy();
  }
}
