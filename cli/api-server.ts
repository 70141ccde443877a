/** `adit api-server` */
import { pino } from 'pino';
import { readApiServerConfig } from '../api-server/config.js';
import { startApiServer } from '../api-server/server.js';
import { announceReady, runPart, stopRequested } from './stop-signals.js';

/** Runs an api-server until it is told to stop. */
export const runApiServer = (): Promise<void> => runPart(apiServer);

async function apiServer(): Promise<void> {
  const config = readApiServerConfig(process.env);
  const log = pino({ level: config.logLevel, base: { service: 'api-server', pid: process.pid } });
  const stopping = stopRequested();
  const server = await startApiServer(config, { log });
  announceReady({ url: server.url });
  log.info({ reason: await stopping }, 'stopping');
  await server.stop();
}
