import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { DumpManifest, PackagerEvent } from '../../../queue-config/index.js';
import { newDump, nextAttempt, type Dump } from '../../../api-server/dumps/dump.js';
import { foldEvent } from '../../../api-server/dumps/fold-event.js';
import { ticketOf } from '../../../api-server/dumps/ticket.js';

const now = new Date('2026-11-22T12:00:00Z');
const archiveTtl = 7 * 24 * 3600 * 1000;
const fresh = newDump({
  id: 'd1',
  docset: '5',
  docsetRevision: 1,
  formats: ['meta', 'txt'],
  container: 'zip',
  since: null,
  ticketSeed: 'seed',
  requested: 10,
  now: new Date('2026-11-22T10:00:00Z'),
});
const ours = { dump: 'd1', attempt: 1, run: 1_000 };
const manifest: DumpManifest = {
  version: 1,
  dump: 'd1',
  attempt: 1,
  run: 1_000,
  docset: '5',
  formats: ['meta', 'txt'],
  archive: { key: 'dumps/d1/1/1000-x.zip', size: 345, sha256: 'a'.repeat(64) },
  counts: { requested: 10, packed: 8, omitted: 2 },
  files: { requested: 20, packed: 18, omitted: 2 },
  timeline: [{ phase: 'packaging', started: '2026-11-22T11:00:00.000Z', ended: '2026-11-22T11:01:00.000Z' }],
  completed: '2026-11-22T11:02:00.000Z',
};
const fold = (dump: Dump, events: PackagerEvent[], withManifest = false): Dump =>
  events.reduce(
    (folded, event) =>
      foldEvent(folded, event, {
        now,
        archiveTtl,
        foreignPackagers: true,
        manifest: withManifest ? manifest : undefined,
      }),
    dump,
  );
const progress = (sequence: number, percent: number): PackagerEvent => ({
  type: 'Progress',
  percent,
  phase: 'packaging',
  documents: { done: Math.floor(percent / 10), total: 10 },
  ...ours,
  sequence,
});
const accepted: PackagerEvent = { type: 'Accepted', ...ours, sequence: 1 };
const complete: PackagerEvent = { type: 'Complete', url: 'http://s3/x', ...ours, sequence: 9 };

describe('folding an event', () => {
  test('goes from accepted over running to successful, with what the manifest says', () => {
    expect(fold(fresh, [accepted]).outcome.status).toBe('running');
    const done = fold(fresh, [accepted, progress(2, 40), complete], true);
    expect(done.outcome).toEqual({
      status: 'successful',
      finished: new Date(manifest.completed),
      expires: new Date(new Date(manifest.completed).getTime() + archiveTtl),
      archive: { kind: 'stored', ...manifest.archive },
    });
    expect(done).toMatchObject({ progress: 100, counts: manifest.counts });
  });

  test('gives the same dump in any order and however often events come', () => {
    const events = [accepted, progress(2, 10), progress(3, 30), progress(4, 55), progress(5, 80)];
    const expected = fold(fresh, events);
    const shuffled = fc.array(fc.nat({ max: events.length - 1 }), { maxLength: 10 }).chain((again) => {
      const all = [...events, ...again.map((index) => events[index] as PackagerEvent)];
      return fc.shuffledSubarray(all, { minLength: all.length });
    });
    fc.assert(fc.property(shuffled, (order) => expect(fold(fresh, order)).toEqual(expected)));
  });

  test('keeps a terminal state, whatever still comes', () => {
    const done = fold(fresh, [complete], true);
    const late: PackagerEvent[] = [
      accepted,
      progress(10, 50),
      { type: 'Failed', detail: 'late', ...ours, sequence: 11 },
    ];
    expect(fold(done, late)).toBe(done);
    const failed = fold(fresh, [
      { type: 'Failed', detail: 'The disk is full.', code: 'storage-unavailable', ...ours, sequence: 3 },
    ]);
    expect(failed.outcome).toMatchObject({
      status: 'failed',
      error: { code: 'storage-unavailable', detail: 'The disk is full.' },
    });
    expect(fold(failed, [complete], true)).toBe(failed);
  });

  test('fences off a packager of an older attempt', () => {
    const second = nextAttempt(fold(fresh, [accepted, progress(2, 40)]), now, 'packager-lost');
    expect(fold(second, [progress(7, 90), { type: 'Failed', detail: 'old', ...ours, sequence: 8 }])).toBe(second);
    expect(fold(second, [complete], true)).toBe(second);
  });

  test('lets the later run of one attempt win, so that a packager that wakes up changes nothing', () => {
    const later = { ...ours, run: 2_000 };
    const taken = fold(fresh, [accepted, progress(6, 70), { type: 'Progress', percent: 5, ...later, sequence: 2 }]);
    expect(taken).toMatchObject({ run: 2_000, sequence: 2, progress: 5 });
    expect(fold(taken, [progress(9, 95), { type: 'Failed', detail: 'awake', ...ours, sequence: 10 }])).toBe(taken);
  });

  test('drops events of a run that lies in the future: it would outrank every honest one', () => {
    expect(fold(fresh, [{ ...accepted, run: 999_999_999_999_999 }])).toBe(fresh);
  });

  test('does not believe a packager that reports an archive which is not there', () => {
    const again = fold(fresh, [accepted, { ...complete, packager: 'host/7/x' }]);
    expect(again).toMatchObject({ outcome: { status: 'accepted' }, attempt: 2, published: null });
    expect(again.warnings).toMatchObject([{ code: 'archive-missing', packager: 'host/7/x', attempt: 1, count: 1 }]);
    const third = { ...fresh, attempt: 3 };
    expect(fold(third, [{ ...complete, attempt: 3 }]).outcome).toMatchObject({
      status: 'failed',
      error: { code: 'archive-missing' },
    });
  });

  test('counts what is in the store, and not what the message says of it', () => {
    const done = fold(fresh, [accepted, { ...complete, size: 1, sha256: 'b'.repeat(64) }], true);
    expect(done.outcome).toMatchObject({ status: 'successful', archive: manifest.archive });
    expect(done.warnings).toMatchObject([{ code: 'archive-differs' }]);
    expect(fold(fresh, [{ ...complete, size: 345 }], true).warnings).toEqual([]);
  });

  test('goes by our clock where the packager’s is wrong', () => {
    const early = fold(fresh, [{ ...accepted, run: 1 }]);
    expect(early.started).toEqual(fresh.created);
    const late = foldEvent(fresh, complete, {
      ...{ now, archiveTtl, foreignPackagers: true },
      manifest: { ...manifest, completed: '9999-01-01T00:00:00.000Z' },
    });
    expect(late.outcome).toMatchObject({ finished: now });
  });

  test('listens to nobody but the one who was given the dump, once that one was heard of', () => {
    const ticket = ticketOf(fresh);
    const taken = fold(fresh, [{ ...accepted, ticket }]);
    const failed: PackagerEvent = { type: 'Failed', detail: 'ha', ...ours, run: 2_000, sequence: 1 };
    expect(fold(taken, [failed])).toBe(taken);
    expect(fold(taken, [{ ...failed, ticket: 'another' }])).toBe(taken);
    expect(fold(taken, [{ ...failed, ticket: ticketOf(nextAttempt(fresh, now, 'packager-lost')) }])).toBe(taken);
    expect(fold(fresh, [{ ...failed, ticket: 'another' }])).toBe(fresh);
    expect(fold(taken, [{ ...failed, ticket }]).outcome.status).toBe('failed');
  });

  test('takes the word of a packager that knows none of our headers', () => {
    const url = 'https://foobar.s3.aws.com/package/5';
    const done = fold(fresh, [{ type: 'Accepted' }, { type: 'Complete', url, size: 345345 }]);
    expect(done.outcome).toMatchObject({ status: 'successful', archive: { kind: 'foreign', url, size: 345345 } });
    expect(done.counts).toEqual({ requested: 10, packed: 10, omitted: 0 });
  });

  test('shows a failure code that nobody knows as packaging-failed', () => {
    const failed = fold(fresh, [{ type: 'Failed', detail: 'x', code: 'moon-phase' }]);
    expect(failed.outcome).toMatchObject({ error: { code: 'packaging-failed' } });
  });
});
