/** Puts the feature together: what an api-server needs of dumps. */
import { join } from 'node:path';
import type { Router } from 'express';
import type { Knex } from 'knex';
import type { Logger } from 'pino';
import type { Registry } from 'prom-client';
import { openBroker } from '../../queue-config/index.js';
import type { ApiServerConfig } from '../config.js';
import type { Route } from '../http/route.js';
import { createPollLimit } from '../miners/poll-limit.js';
import type { DumpHooks } from '../parts.js';
import { archiveDownload } from './archive-download.js';
import type { ArchiveLinks } from './archive-links/archive-links.js';
import { createFolderArchiveLinks } from './archive-links/folder-archive-links.js';
import { createS3ArchiveLinks } from './archive-links/s3-archive-links.js';
import { createDumpHooks } from './dump-hooks.js';
import { createDumpMetrics } from './dump-metrics.js';
import type { DumpParts } from './dump-parts.js';
import { createDumpStore } from './dump-store.js';
import { dumpRoutes } from './routes.js';

export interface Dumps extends DumpHooks {
  routes: Route[];
  /** Serves archives where they are in a folder; undefined where S3 does. */
  download: Router | undefined;
  close(): Promise<void>;
}

/** @param base database, log and metrics of the api-server */
export function createDumps(
  config: ApiServerConfig,
  { knex, log, metrics }: { knex: Knex; log: Logger; metrics: Registry },
): Dumps {
  const broker = openBroker({
    urls: config.brokerUrls.join(','),
    dialect: config.brokerDialect,
    authority: config.brokerAuthority,
    onRecognised: (recognised) => log.info(recognised, 'the broker is known'),
  });
  const { links, download, close } = openArchiveLinks(config);
  const parts: DumpParts = {
    store: createDumpStore(knex),
    broker,
    links,
    log,
    metrics: createDumpMetrics(metrics),
    terms: {
      dumpLease: config.dumpLease,
      packagingLimit: config.packagingLimit,
      requestTtl: config.requestTtl,
      archiveTtl: config.archiveTtl,
      largeDocset: config.largeDocset,
      foreignPackagers: config.foreignPackagers,
    },
    publicUrl: config.publicUrl,
  };
  return {
    ...createDumpHooks(parts),
    routes: dumpRoutes(parts, knex, createPollLimit(config.pollInterval)),
    download,
    async close() {
      close();
      await broker.close();
    },
  };
}

function openArchiveLinks({ s3, dataDir, packagerKey }: ApiServerConfig): {
  links: ArchiveLinks;
  download: Router | undefined;
  close: () => void;
} {
  if (s3 !== undefined) {
    const links = createS3ArchiveLinks(s3);
    return { links, download: undefined, close: () => links.close() };
  }
  // The packager's key is the one secret that all api-servers of a service share.
  const links = createFolderArchiveLinks(join(dataDir, 'archives'), packagerKey);
  return { links, download: archiveDownload(links), close: () => undefined };
}
