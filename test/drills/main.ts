/**
 * Failure drills on real servers: `npm run drills`. Each makes its dumps while it does its worst, and proves the same things at the
 * end. Exit code 1 where one of them is not so.
 */
import { parseArgs } from 'node:util';
import { DRILLS } from './drills.js';
import type { Drill, DrillResult } from './drill.js';
import { explain } from './drill.js';
import { startGround, type Ground } from './field.js';
import { createRandom } from './random.js';
import { createReport } from './report.js';

const USAGE = `npm run drills -- [options]
  --only a,b       only these: ${DRILLS.map(({ name }) => name).join(', ')}
  --short          few drills, few dumps, small docsets
  --seed N         what chance follows from; printed, so that a run can be had again
  --dumps N        of each drill (20; 6 in the short form)
  --minutes N      of the random mix (10)
  --unpolled N     dumps that nobody polls (10000)
`;

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    short: { type: 'boolean', default: false },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    dumps: { type: 'string' },
    minutes: { type: 'string', default: '10' },
    unpolled: { type: 'string', default: '10000' },
    help: { type: 'boolean', default: false },
  },
});

if (values.help) process.stdout.write(USAGE);
else await runAll(chosenDrills());

function chosenDrills(): Drill[] {
  if (values.only === undefined) return DRILLS.filter(({ isShort }) => !values.short || isShort === true);
  return values.only.split(',').map((name) => {
    const drill = DRILLS.find((each) => each.name === name);
    if (drill === undefined) throw new Error(`there is no drill ${name}\n${USAGE}`);
    return drill;
  });
}

async function runAll(drills: readonly Drill[]): Promise<void> {
  const seed = Number(values.seed);
  process.stdout.write(`seed ${seed}\n`);
  const report = createReport();
  let ground: Ground | undefined;
  for (const [index, drill] of drills.entries()) {
    // Its store keeps everything in memory, also what was deleted.
    if (index % 5 === 0) {
      await ground?.close();
      ground = undefined;
    }
    ground ??= await startGround();
    const started = performance.now();
    const result = await runOne(drill, ground, seed);
    const seconds = (performance.now() - started) / 1000;
    report.add(drill.name, result, seconds);
    process.stdout.write(`${result.faults.length === 0 ? 'ok    ' : 'FAULT '} ${drill.name} ${seconds.toFixed(0)} s\n`);
    for (const fault of result.faults) process.stdout.write(`       ${fault}\n`);
  }
  await ground?.close();
  if (!report.print()) process.exitCode = 1;
}

async function runOne(drill: Drill, ground: Ground, seed: number): Promise<DrillResult> {
  const context = {
    ground,
    random: createRandom(seed, drill.name),
    dumps: Number(values.dumps ?? (values.short ? 6 : 20)),
    isShort: values.short,
    minutes: Number(values.minutes),
    unpolled: Number(values.unpolled),
  };
  try {
    return await drill.run(context);
  } catch (error) {
    return { outcomes: [], did: 'broke off', faults: [explain(error)] };
  }
}
