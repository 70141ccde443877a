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

/** A dump that was made, whether or not its archive is still there. */
export interface PackedDump {
  id: string;
  formats: string[];
  /** `zip` or `tar.gz`. */
  container: string;
  /** Id of the dump that it is relative to; null: it is of the whole docset. */
  since: string | null;
  finished: Date;
  /** In documents. */
  counts: { requested: number; packed: number; omitted: number };
  /** Null where a packager of another make did not tell. */
  sha256: string | null;
}

/** What other features ask of dumps. */
export interface DumpHooks {
  /**
   * False where the dump was dismissed, failed for good, or never was: the packager is told to stop.
   * @param attempt at which the packager is; where another was asked for since, nobody wants this one
   */
  isDumpWanted(dump: string, attempt?: number): Promise<boolean>;
  /** Which docset a dump is of; undefined where there is no such dump. */
  docsetOf(dump: string): Promise<string | undefined>;
  /**
   * What a dump of a docset came to.
   * @throws {ProblemError} `dump-not-found`, `result-not-ready`, `dump-not-successful`
   */
  packedDump(docset: string, dump: string): Promise<PackedDump>;
  /** Called before a docset is deleted. Its row stays, marked as deleted, so that dumps may go on referring to it. */
  endDumpsOf(docset: string): Promise<void>;
}
