/** Starts and stops an api-server: database, parts, HTTP. */
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Express } from 'express';
import type { Logger } from 'pino';
import { Registry, collectDefaultMetrics } from 'prom-client';
import { openEngine } from './collections/search-engine/open-engine.js';
import type { ApiServerConfig } from './config.js';
import { openDatabase } from './db/open-database.js';
import { openContentStore } from './documents/content-store/open-content-store.js';
import { createDumps } from './dumps/dumps.js';
import { createApp } from './http/app.js';
import { httpServerOf } from './http/http-server.js';
import type { Parts } from './parts.js';
import { within } from './within.js';

export interface RunningApiServer {
  /** Where it answers, such as `http://127.0.0.1:3000`. */
  url: string;
  port: number;
  /** What the features are built from; for those who start it in their own process. */
  parts: Parts;
  /** Lets running requests end, but not for long, then closes what was opened, in reverse order. */
  stop(): Promise<void>;
}

/** An ingest of millions of documents is one request. */
const LONGEST_REQUEST = 12 * 60 * 60 * 1000;

/** Packagers report at least as often, in milliseconds. */
const LONGEST_SILENCE = 120_000;

/**
 * Requests that take longer than this do not delay a stop: they are broken off. With what follows, WORK_GRACE and the closing of
 * the database (5 s at most), a stop takes less than the 15 s after which the launcher kills.
 */
const REQUEST_GRACE = 6_000;

/** For what requests that were broken off have yet to put in order. */
const WORK_GRACE = 2_000;

/** @throws what kept it from starting, with nothing left open */
export async function startApiServer(config: ApiServerConfig, { log }: { log: Logger }): Promise<RunningApiServer> {
  const releases: (() => Promise<void>)[] = [];
  try {
    const database = await openDatabase(config, log);
    releases.push(() => database.close());
    const content = openContentStore(config);
    releases.push(() => content.close());
    const metrics = new Registry();
    collectDefaultMetrics({ register: metrics });
    const { knex, embedded } = database;
    const dumps = createDumps(config, { knex, log, metrics });
    releases.push(() => dumps.close());
    const running = new Set<Promise<void>>();
    const searchEngine = openEngine(config, { knex, content });
    const parts: Parts = { config, knex, embedded, content, searchEngine, log, metrics, dumps };
    // What is still at work for clients that have gone ends before the database does.
    releases.push(async () => {
      await within(WORK_GRACE, Promise.allSettled(running));
    });
    const server = await listen(createApp(parts, running), config);
    releases.push(() => closeServer(server));
    const { port } = server.address() as AddressInfo;
    const url = `http://${config.host.includes(':') ? `[${config.host}]` : config.host}:${port}`;
    log.info({ url }, 'api-server listens');
    if (config.dumpLease < LONGEST_SILENCE) {
      log.warn({ dumpLeaseMs: config.dumpLease }, 'DUMP_LEASE is shorter than packagers may be silent (2m)');
    }
    return { url, port, parts, stop: () => releaseAll(releases) };
  } catch (error) {
    // What kept it from starting is what matters; that something did not close as well only goes into the log.
    await releaseAll(releases).catch((second: unknown) => log.error({ err: second }, 'closing after a failed start'));
    throw error;
  }
}

/** Last in, first out. Everything is released, and the first error is kept. */
async function releaseAll(releases: (() => Promise<void>)[]): Promise<void> {
  const errors: unknown[] = [];
  for (const release of releases.splice(0).reverse()) {
    await release().catch((error: unknown) => errors.push(error));
  }
  if (errors.length > 0) throw errors[0];
}

function listen(app: Express, { host, port }: ApiServerConfig): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = httpServerOf(app);
    server.requestTimeout = LONGEST_REQUEST;
    server.once('error', (error) =>
      reject(isInUse(error) ? new Error(`Port ${port} is in use: set PORT to another.`, { cause: error }) : error),
    );
    server.listen(port, host, () => resolve(server));
  });
}

function isInUse(error: Error): boolean {
  return 'code' in error && error.code === 'EADDRINUSE';
}

async function closeServer(server: Server): Promise<void> {
  const deadline = setTimeout(() => server.closeAllConnections(), REQUEST_GRACE);
  try {
    await new Promise<void>((resolve, reject) => {
      server.close((error) => (error === undefined ? resolve() : reject(error)));
      server.closeIdleConnections();
    });
  } finally {
    clearTimeout(deadline);
  }
}
