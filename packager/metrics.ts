/** What a packager counts. */
import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';

export type PackagerMetrics = ReturnType<typeof createMetrics>;

export function createMetrics() {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  return {
    registry,
    jobs: new Counter({
      name: 'adit_packager_jobs_total',
      help: 'Package requests that ended, by outcome and, where they failed, by code.',
      labelNames: ['outcome', 'code'] as const,
      registers,
    }),
    running: new Gauge({ name: 'adit_packager_jobs_running', help: 'Package requests in work.', registers }),
    duration: new Histogram({
      name: 'adit_packager_job_seconds',
      help: 'Time from a package request to its end.',
      labelNames: ['outcome'] as const,
      buckets: [0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600, 14_400],
      registers,
    }),
    files: new Counter({
      name: 'adit_packager_files_total',
      help: 'Files of documents, packed or omitted.',
      labelNames: ['outcome'] as const,
      registers,
    }),
    archiveBytes: new Counter({
      name: 'adit_packager_archive_bytes_total',
      help: 'Bytes of finished archives.',
      registers,
    }),
    deadLetters: new Counter({
      name: 'adit_packager_dead_letters_total',
      help: 'Messages that could not be read, by queue.',
      labelNames: ['queue'] as const,
      registers,
    }),
    deletions: new Counter({
      name: 'adit_packager_deletions_total',
      help: 'Dumps whose storage was freed.',
      registers,
    }),
    connected: new Gauge({
      name: 'adit_packager_broker_connected',
      help: '1 while a queue is consumed.',
      labelNames: ['queue'] as const,
      registers,
    }),
  };
}
