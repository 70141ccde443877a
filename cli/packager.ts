/** `adit packager` */
import { setFlagsFromString } from 'node:v8';
import { pino } from 'pino';
import { readPackagerConfig } from '../packager/config.js';
import { startPackager } from '../packager/packager.js';
import { announceReady, runPart, stopRequested } from './stop-signals.js';

/** Runs a packager until it is told to stop. */
export const runPackager = (): Promise<void> => runPart(packagerUntilStopped);

async function packagerUntilStopped(): Promise<void> {
  // What it copies is soon garbage: collected at once it is little, left lying it is a hundred megabytes.
  setFlagsFromString('--heap-growing-percent=35');
  const config = readPackagerConfig(process.env);
  const log = pino({ level: config.logLevel, base: { service: 'packager', pid: process.pid } });
  const stopping = stopRequested();
  const packager = startPackager(config, { log });
  // A broker that is down must not keep us from being stopped.
  const stopped = await Promise.race([packager.ready.then(() => undefined), stopping]);
  if (stopped === undefined) announceReady({});
  log.info({ reason: stopped ?? (await stopping) }, 'stopping');
  await packager.stop();
}
