/** Clocks that are ten minutes apart: each party's in turn, by libfaketime. */
import { existsSync } from 'node:fs';
import { createMinerClient } from '../../cli/miner/miner-client.js';
import { conclude, onField, type Drill, type FieldSettings } from './drill.js';
import { dumpAll, dumpOne, makeDocsets } from './miners.js';

const LIBRARY = '/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1';
const APART = 600;

/** For a process whose clock is so many seconds ahead of ours. */
const clock = (seconds: number): Record<string, string> => ({
  LD_PRELOAD: LIBRARY,
  FAKETIME: `${seconds < 0 ? '' : '+'}${seconds}`,
  // Time that passes is the same for all.
  FAKETIME_DONT_FAKE_MONOTONIC: '1',
});

const CLOCKS: Readonly<Record<string, FieldSettings>> = {
  'clocks-of-packagers': { packagerEnv: (index) => clock(index % 2 === 0 ? APART : -APART) },
  'clock-of-api-server-ahead': { apiEnv: () => clock(APART) },
  'clock-of-api-server-behind': { apiEnv: () => clock(-APART) },
  // Everybody else's is behind, or ahead: a Java program does not run with this library.
  'clock-of-broker-ahead': { apiEnv: () => clock(-APART), packagerEnv: () => clock(-APART) },
  'clock-of-broker-behind': { apiEnv: () => clock(APART), packagerEnv: () => clock(APART) },
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
        const ahead = await field.addApiServer(clock(APART));
        const elsewhere = { ...field, url: ahead.url, miner: createMinerClient(ahead.url, field.minerKey) };
        await elsewhere.miner.collections();
        const docsets = await makeDocsets(field, context.dumps);
        const both = await Promise.all([
          dumpAll(field, docsets),
          Promise.all(docsets.map((docset) => dumpOne(elsewhere, docset))),
        ]);
        return { ...(await conclude(field, both.flat(), [])), did: '10 min apart' };
      }),
    ),
  },
];

function withLibrary(run: Drill['run']): Drill['run'] {
  return (context) => {
    if (!existsSync(LIBRARY)) throw new Error('libfaketime is not installed: test/servers/install.sh faketime');
    return run(context);
  };
}
