/** Starts and stops an api-server: database, parts, HTTP. */
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Express } from 'express';
import type { Logger } from 'pino';
import { Registry, collectDefaultMetrics } from 'prom-client';
import type { ApiServerConfig } from './config.js';
import { openDatabase } from './db/open-database.js';
import { createDumps } from './dumps/dumps.js';
import { createApp } from './http/app.js';
import type { Parts } from './parts.js';

export interface RunningApiServer {
  /** Where it answers, such as `http://127.0.0.1:3000`. */
  url: string;
  port: number;
  /** What the features are built from; for those who start it in their own process. */
  parts: Parts;
  /** Lets running requests end, then closes what was opened, in reverse order. */
  stop(): Promise<void>;
}

/** Requests that take longer than this do not delay a stop. */
const STOP_GRACE = 10_000;

/** @throws what kept it from starting, with nothing left open */
export async function startApiServer(config: ApiServerConfig, { log }: { log: Logger }): Promise<RunningApiServer> {
  const database = await openDatabase(config, log);
  try {
    const metrics = new Registry();
    collectDefaultMetrics({ register: metrics });
    const { knex, embedded } = database;
    const dumps = createDumps(config, { knex, log, metrics });
    const parts: Parts = { config, knex, embedded, log, metrics, dumps };
    const server = await listen(createApp(parts), config);
    const { port } = server.address() as AddressInfo;
    const url = `http://${config.host.includes(':') ? `[${config.host}]` : config.host}:${port}`;
    log.info({ url }, 'api-server listens');
    const stop = async () => {
      await closeServer(server);
      await dumps.close();
      await database.close();
    };
    return { url, port, parts, stop };
  } catch (error) {
    await database.close();
    throw error;
  }
}

function listen(app: Express, { host, port }: ApiServerConfig): Promise<Server> {
  return new Promise((resolve, reject) => {
    // Express 5 calls back with the error, EADDRINUSE for one, instead of throwing it.
    const server = app.listen(port, host, (error?: Error) => {
      if (error === undefined) resolve(server);
      else reject(error);
    });
  });
}

async function closeServer(server: Server): Promise<void> {
  const deadline = setTimeout(() => server.closeAllConnections(), STOP_GRACE);
  try {
    await new Promise<void>((resolve, reject) => {
      server.close((error) => (error === undefined ? resolve() : reject(error)));
      server.closeIdleConnections();
    });
  } finally {
    clearTimeout(deadline);
  }
}
