import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { storeMessage, type StoredMessage } from '../../../queue-config/embedded-broker/message.js';
import { createQueue, type Drain } from '../../../queue-config/embedded-broker/queue.js';

type Step =
  | { do: 'send' }
  | { do: 'join'; window: number; drains: boolean }
  | { do: 'acknowledge'; who: number; count: number }
  | { do: 'leave'; who: number };

const steps = fc.array(
  fc.oneof(
    { weight: 5, arbitrary: fc.record({ do: fc.constant('send' as const) }) },
    {
      weight: 2,
      arbitrary: fc.record({
        do: fc.constant('join' as const),
        window: fc.integer({ min: 1, max: 4 }),
        drains: fc.boolean(),
      }),
    },
    {
      weight: 5,
      arbitrary: fc.record({ do: fc.constant('acknowledge' as const), who: fc.nat(9), count: fc.nat(4) }),
    },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('leave' as const), who: fc.nat(9) }) },
  ),
  { maxLength: 60, size: 'max' },
);

interface Reader extends Drain {
  drains: boolean;
  held: StoredMessage[];
  received: number[];
  /** The newest message when the end came. */
  endedAt: number | undefined;
}

/** Runs the steps as the broker would, and checks after each what must always hold. */
function run(script: readonly Step[]): void {
  let newest = 0;
  const settled: number[] = [];
  const waiting = new Set<number>();
  const readers: Reader[] = [];
  const queue = createQueue({ name: '/queue/a', onExpired: () => undefined, newest: () => newest });
  const readerAt = (who: number): Reader | undefined => readers[who % Math.max(1, readers.length)];

  const join = (window: number, drains: boolean): void => {
    const reader: Reader = {
      drains,
      held: [],
      received: [],
      endedAt: undefined,
      wants: () => reader.held.length < window,
      deliver(message) {
        // The oldest first, always: also after some came back.
        expect(message.sequence).toBe(Math.min(...waiting));
        waiting.delete(message.sequence);
        reader.held.push(message);
        reader.received.push(message.sequence);
      },
      end: () => (reader.endedAt = newest),
    };
    readers.push(reader);
    if (drains) queue.addDrain(reader);
    else queue.addConsumer(reader);
  };
  const take = (step: Step): void => {
    switch (step.do) {
      case 'send':
        waiting.add(newest + 1);
        queue.push(
          storeMessage({
            sequence: ++newest,
            queue: '/queue/a',
            headers: [],
            body: Buffer.alloc(0),
            persistent: false,
            expires: undefined,
          }),
        );
        return;
      case 'join':
        join(step.window, step.drains);
        return;
      case 'acknowledge': {
        const taken = readerAt(step.who)?.held.splice(0, step.count) ?? [];
        settled.push(...taken.map(({ sequence }) => sequence));
        queue.settle(taken.length);
        return;
      }
      case 'leave': {
        const reader = readerAt(step.who);
        if (reader === undefined) return;
        readers.splice(readers.indexOf(reader), 1);
        queue.remove(reader);
        for (const { sequence } of reader.held) waiting.add(sequence);
        queue.putBack(reader.held);
      }
    }
  };

  for (const step of script) {
    take(step);
    queue.dispatch();
    const held = readers.flatMap((reader) => reader.held.map(({ sequence }) => sequence));
    // Every message is at one place: settled, held by one reader, or waiting.
    expect(new Set([...held, ...settled]).size).toBe(held.length + settled.length);
    expect(queue.depth).toBe(newest - settled.length);
    expect(queue.unacknowledged).toBe(held.length);
    // Nobody idles while there is work: what waits, waits because no consumer has credit.
    if (queue.depth > held.length) expect(readers.some((reader) => !reader.drains && reader.wants())).toBe(false);
    // Drains exclude each other: one that still waits for its turn holds nothing.
    const [first, ...later] = readers.filter(({ drains }) => drains);
    for (const drain of later) expect([drain.received, drain.endedAt]).toEqual([[], undefined]);
    if (first !== undefined && first.endedAt === undefined) expect(first.wants()).toBe(false);
    // The broker removes a queue that is idle: never one on which anything or anybody is.
    expect(queue.idleSince === undefined).toBe(queue.depth > 0 || readers.length > 0);
  }
}

describe('a queue', () => {
  it('loses nothing, doubles nothing, and keeps nobody waiting, whatever happens in whatever order', () => {
    fc.assert(fc.property(steps, run), { numRuns: 1_000 });
  });
});
