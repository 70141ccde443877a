/** What the use cases of dumps are built from. */
import type { Logger } from 'pino';
import type { Broker } from '../../queue-config/index.js';
import type { ArchiveLinks } from './archive-links/archive-links.js';
import type { DumpMetrics } from './dump-metrics.js';
import type { DumpStore } from './dump-store.js';

export interface DumpParts {
  store: DumpStore;
  broker: Broker;
  links: ArchiveLinks;
  log: Logger;
  metrics: DumpMetrics;
  terms: DumpTerms;
  /** Where packagers find us, without a slash at the end. */
  publicUrl: string;
}

/** Durations in milliseconds, sizes in documents. */
export interface DumpTerms {
  dumpLease: number;
  packagingLimit: number;
  requestTtl: number;
  archiveTtl: number;
  /** Docsets with more documents than this wait in a queue of their own. */
  largeDocset: number;
  /** Whether packagers of another make, which know no tickets, are listened to. */
  foreignPackagers: boolean;
}
