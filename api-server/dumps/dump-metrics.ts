/** Figures about dumps for `/metrics`. They count what polls see: nothing looks at dumps in between. */
import { Counter, Histogram, type Registry } from 'prom-client';
import type { Status } from './dump.js';

export interface DumpMetrics {
  requested(): void;
  finished(status: Status): void;
  unreadableEvent(): void;
  /** A drain and how long it took, in seconds. */
  drained(seconds: number, result: 'drained' | 'failed'): void;
}

export function createDumpMetrics(registry: Registry): DumpMetrics {
  const registers = [registry];
  const requested = new Counter({ name: 'adit_dumps_requested_total', help: 'Dumps asked for', registers });
  const finished = new Counter({
    name: 'adit_dumps_finished_total',
    help: 'Dumps that a poll saw end, by status',
    labelNames: ['status'],
    registers,
  });
  const unreadable = new Counter({
    name: 'adit_events_unreadable_total',
    help: 'Events that could not be read and were dead-lettered',
    registers,
  });
  const drains = new Histogram({
    name: 'adit_drain_seconds',
    help: 'How long draining the events of a docset took',
    labelNames: ['result'],
    buckets: [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5],
    registers,
  });
  return {
    requested: () => requested.inc(),
    finished: (status) => finished.inc({ status }),
    unreadableEvent: () => unreadable.inc(),
    drained: (seconds, result) => drains.observe({ result }, seconds),
  };
}
