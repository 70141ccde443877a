/** What the features are built from. */
import type { Knex } from 'knex';
import type { Logger } from 'pino';
import type { Registry } from 'prom-client';
import type { ApiServerConfig } from './config.js';
import type { SearchEngine } from './collections/search-engine/search-engine.js';
import type { ContentStore } from './documents/content-store/content-store.js';
import type { Dumps } from './dumps/dumps.js';

export interface Parts {
  config: ApiServerConfig;
  /** The database. Inside a transaction use only the transaction: the embedded engine has one connection. */
  knex: Knex;
  /** True on the embedded engine, which has no autovacuum. */
  embedded: boolean;
  /** Where the files of documents are. */
  content: ContentStore;
  /** What finds documents. */
  searchEngine: SearchEngine;
  log: Logger;
  /** Where features register what they count. */
  metrics: Registry;
  dumps: Dumps;
}

/** What other features ask of dumps. */
export interface DumpHooks {
  /** False where the dump was dismissed, failed for good, or never was: the packager is told to stop. */
  isDumpWanted(dump: string): Promise<boolean>;
  /** Which docset a dump is of; undefined where there is no such dump. */
  docsetOf(dump: string): Promise<string | undefined>;
  /** Called before a docset is deleted. Its row stays, marked as deleted, so that dumps may go on referring to it. */
  endDumpsOf(docset: string): Promise<void>;
}
