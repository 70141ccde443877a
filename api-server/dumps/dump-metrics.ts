/** Figures about dumps for `/metrics`. They count what polls see: nothing looks at dumps in between. */
import { Counter, Histogram, type Registry } from 'prom-client';
import type { Status } from './dump.js';
import type { Refusal } from './judge-event.js';
import type { Loss } from './lease-policy.js';

export interface DumpMetrics {
  requested(): void;
  finished(status: Status): void;
  unreadableEvent(): void;
  refusedEvent(refusal: Refusal): void;
  /** A packager that was given up, by why. */
  lost(why: Loss): void;
  /** A drain and how long it took, in seconds. */
  drained(seconds: number, result: 'drained' | 'cut' | 'failed'): void;
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
  const refused = new Counter({
    name: 'adit_events_refused_total',
    help: 'Events that changed nothing, by why they were not believed',
    labelNames: ['reason'],
    registers,
  });
  const lost = new Counter({
    name: 'adit_packagers_lost_total',
    help: 'Attempts that a poll found to be over without a result, by why',
    labelNames: ['reason'],
    registers,
  });
  const drains = new Histogram({
    name: 'adit_drain_seconds',
    help: 'How long draining the events of a docset took; cut: there was more than one poll reads',
    labelNames: ['result'],
    buckets: [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5],
    registers,
  });
  return {
    requested: () => requested.inc(),
    finished: (status) => finished.inc({ status }),
    unreadableEvent: () => unreadable.inc(),
    refusedEvent: (reason) => refused.inc({ reason }),
    lost: (reason) => lost.inc({ reason }),
    drained: (seconds, result) => drains.observe({ result }, seconds),
  };
}
