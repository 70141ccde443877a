/** All blows in an order that the seed alone decides, for some minutes, while miners ask for one dump after another. */
import { setTimeout as sleep } from 'node:timers/promises';
import { BLOWS, type BlowName, type Target } from './blows.js';
import { startSingle } from './brokers.js';
import { conclude, onField, type Drill } from './drill.js';
import type { Field } from './field.js';
import { dumpOne, makeDocsets, type Outcome } from './miners.js';
import { planStrokes, type Stroke } from './schedule.js';

/** Miners that wait for a dump each. */
const MINERS = 6;
const MAY_FAIL = [
  'storage-unavailable',
  'source-unavailable',
  'packager-stalled',
  'archive-not-verified',
  'packager-lost',
];

export const MIX: Drill = {
  name: 'random-mix',
  run: (context) =>
    onField(
      context,
      { packagers: 3, startBroker: () => startSingle({ settings: { memoryPercent: 10 } }) },
      async (field) => {
        const strokes = planStrokes(context.random, context.minutes, Object.keys(BLOWS) as BlowName[]);
        // Of two runs of one seed, these lines are the same.
        for (const { at, blow, lasts, choice } of strokes)
          process.stdout.write(`at ${at}: ${blow} ${lasts} ${choice}\n`);
        const end = performance.now() + context.minutes * 60_000;
        const striking = strikeAll(field, strokes);
        const outcomes: Outcome[] = [];
        const mine = async (): Promise<void> => {
          while (performance.now() < end || outcomes.length < context.dumps) {
            const [docset = ''] = await makeDocsets(field, 1);
            outcomes.push(await dumpOne(field, docset));
          }
        };
        await Promise.all(Array.from({ length: MINERS }, mine));
        await striking;
        return { ...(await conclude(field, outcomes, MAY_FAIL)), did: `${strokes.length} blows: ${tally(strokes)}` };
      },
    ),
};

/** Each at its moment; two on one target one after the other. */
async function strikeAll(field: Field, strokes: readonly Stroke[]): Promise<void> {
  const started = performance.now();
  const last = new Map<Target, Promise<void>>();
  const strikes: Promise<void>[] = [];
  for (const { at, blow: name, lasts, choice } of strokes) {
    await sleep(Math.max(0, at - (performance.now() - started)));
    const blow = BLOWS[name];
    const strike = (last.get(blow.target) ?? Promise.resolve()).then(() => blow.strike(field, lasts, choice));
    last.set(blow.target, strike);
    strikes.push(strike);
  }
  await Promise.all(strikes);
}

function tally(strokes: readonly Stroke[]): string {
  const counts = new Map<string, number>();
  for (const { blow } of strokes) counts.set(blow, (counts.get(blow) ?? 0) + 1);
  return [...counts].map(([blow, count]) => `${blow} ×${count}`).join(', ');
}
