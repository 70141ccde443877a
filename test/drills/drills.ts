/** All drills, in the order in which they are done. */
import { drillOfBlows, type Drill } from './drill.js';
import { startArtemisPair, startPair, startSingle } from './brokers.js';
import { CLOCK_DRILLS } from './clocks.js';
import { FULL_BROKERS } from './full-brokers.js';
import { KILLED_IN_STEPS } from './killed-in-steps.js';
import { MIX } from './mix.js';
import { POISON } from './poison.js';
import { UNPOLLED } from './unpolled.js';

const LOST = ['packager-lost'];
const STORE_AWAY = [
  'storage-unavailable',
  'source-unavailable',
  'packager-stalled',
  'archive-not-verified',
  'packager-lost',
];

export const DRILLS: readonly Drill[] = [
  drillOfBlows('broker-killed', { blows: ['broker-killed'], times: 6 }, { isShort: true }),
  drillOfBlows('broker-pair-killed', { startBroker: () => startPair(), blows: ['broker-killed'], times: 4 }),
  drillOfBlows('artemis-pair-killed', { startBroker: startArtemisPair, blows: ['broker-killed'], times: 4 }),
  drillOfBlows('broker-frozen', { blows: ['broker-frozen'], times: 4 }),
  drillOfBlows(
    'packagers-killed',
    { packagers: 3, blows: ['packager-killed'], times: 15, pauses: [200, 1_500], mayFail: LOST },
    { isShort: true },
  ),
  POISON,
  drillOfBlows('packagers-frozen', { blows: ['packager-frozen'], times: 4, env: { DUMP_LEASE: '5s' }, mayFail: LOST }),
  drillOfBlows('api-server-killed', {
    blows: ['api-server-killed'],
    times: 10,
    mayFail: ['packager-stalled', 'source-unavailable'],
  }),
  drillOfBlows('database-stopped', {
    blows: ['database-stopped', 'database-killed'],
    times: 6,
    mayFail: ['packager-stalled', 'source-unavailable'],
  }),
  drillOfBlows('store-refuses', { blows: ['store-refuses'], times: 8, mayFail: STORE_AWAY }),
  drillOfBlows('store-slow', { blows: ['store-slow'], times: 5, mayFail: STORE_AWAY }),
  drillOfBlows('store-cuts', { blows: ['store-cuts'], times: 6, mayFail: STORE_AWAY }),
  drillOfBlows('broker-memory-full', {
    startBroker: () => startSingle({ settings: { memoryPercent: 10 } }),
    blows: ['broker-memory-full'],
    times: 3,
  }),
  ...FULL_BROKERS,
  ...KILLED_IN_STEPS,
  ...CLOCK_DRILLS,
  UNPOLLED,
  MIX,
];
