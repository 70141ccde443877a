/** Clocks that are ten minutes apart: each party's in turn, by libfaketime. */
import { clockAhead, hasFaketime } from '../servers/faketime.js';
import { conclude, onField, type Drill, type FieldSettings } from './drill.js';
import { dumpAll, dumpOne, makeDocsets } from './miners.js';

const APART = 600;

const CLOCKS: Readonly<Record<string, FieldSettings>> = {
  'clocks-of-packagers': { packagerEnv: (index) => clockAhead(index % 2 === 0 ? APART : -APART) },
  'clock-of-api-server-ahead': { apiEnv: () => clockAhead(APART) },
  'clock-of-api-server-behind': { apiEnv: () => clockAhead(-APART) },
  // Everybody else's is behind, or ahead: a Java program does not run with this library.
  'clock-of-broker-ahead': { apiEnv: () => clockAhead(-APART), packagerEnv: () => clockAhead(-APART) },
  'clock-of-broker-behind': { apiEnv: () => clockAhead(APART), packagerEnv: () => clockAhead(APART) },
};

export const CLOCK_DRILLS: readonly Drill[] = [
  ...Object.entries(CLOCKS).map(([name, settings]) => ({
    name,
    run: withLibrary((context) =>
      onField(context, settings, async (field) => {
        const outcomes = await dumpAll(field, await makeDocsets(field, context.dumps));
        const concluded = await conclude(field, outcomes, []);
        const stale = outcomes.filter((outcome) => outcome.stale > 0).length;
        if (stale > 0) concluded.faults.push(`polls of ${stale} dumps were answered as stale`);
        return { ...concluded, did: '10 min apart' };
      }),
    ),
  })),
  {
    name: 'clocks-of-two-api-servers',
    run: withLibrary((context) =>
      onField(context, {}, async (field) => {
        // A load balancer asks now one and now the other.
        const ahead = await field.addApiServer(clockAhead(APART));
        const elsewhere = { ...field, url: ahead.url, miner: await field.minerAt(ahead.url) };
        const docsets = await makeDocsets(field, context.dumps);
        const both = await Promise.all([
          dumpAll(field, docsets),
          Promise.all(docsets.map((docset) => dumpOne(elsewhere, docset))),
        ]);
        const outcomes = both.flat();
        const concluded = await conclude(field, outcomes, []);
        for (const { docset, end } of outcomes) {
          if (end.type !== 'error' && end.status.attempt > 1) {
            concluded.faults.push(`docset ${docset} was asked for ${end.status.attempt} times`);
          }
        }
        return { ...concluded, did: '10 min apart' };
      }),
    ),
  },
];

function withLibrary(run: Drill['run']): Drill['run'] {
  return (context) => {
    if (!hasFaketime()) throw new Error('libfaketime is not installed: test/servers/install.sh faketime');
    return run(context);
  };
}
