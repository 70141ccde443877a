import { describe, expect, test } from '@jest/globals';
import { newDump, type Dump } from '../../../api-server/dumps/dump.js';
import { judgeLease } from '../../../api-server/dumps/lease-policy.js';

const MINUTE = 60_000;
const terms = { dumpLease: 10 * MINUTE, packagingLimit: 120 * MINUTE, requestTtl: 24 * 60 * MINUTE };
const start = new Date('2026-11-22T12:00:00Z');
const after = (minutes: number): Date => new Date(start.getTime() + minutes * MINUTE);
const waiting: Dump = {
  ...newDump({
    ...{ id: 'd', docset: '5', docsetRevision: 1, formats: ['txt'], container: 'zip', since: null, ticketSeed: 'seed' },
    ...{ requested: 1, now: start },
  }),
  published: start,
};
const running: Dump = { ...waiting, outcome: { status: 'running' }, started: start };
const judge = (dump: Dump, minutes: number): string => judgeLease(dump, after(minutes), terms).act;

describe('the lease of a dump', () => {
  test('lasts while there is news', () => {
    expect(judge(running, 9)).toBe('wait');
    expect(judge({ ...running, updated: after(30) }, 39)).toBe('wait');
  });

  test('is renewed twice when a packager that took the dump falls silent, then given up', () => {
    expect(judge(running, 11)).toBe('renew');
    expect(judge({ ...running, attempt: 2 }, 11)).toBe('renew');
    expect(judge({ ...running, attempt: 3 }, 11)).toBe('give-up');
  });

  test('ends after the packaging limit for a packager that reports for ever', () => {
    const reporting = { ...running, taken: after(0), updated: after(120) };
    expect(judge(reporting, 120)).toBe('wait');
    expect(judgeLease(reporting, after(121), terms)).toEqual({ act: 'renew', why: 'packaging-overdue' });
    expect(judgeLease({ ...reporting, attempt: 3 }, after(121), terms)).toEqual({
      act: 'give-up',
      why: 'packaging-overdue',
    });
  });

  test('of a dump that waits behind others only looks for a result until its request has expired at the broker', () => {
    expect(judge(waiting, 9)).toBe('wait');
    expect(judge(waiting, 11)).toBe('look');
    expect(judge(waiting, 23 * 60)).toBe('look');
    expect(judge(waiting, 24 * 60 + 1)).toBe('renew');
    expect(judge({ ...waiting, attempt: 3 }, 24 * 60 + 1)).toBe('give-up');
  });

  test('of a request that was never confirmed sends it again, once its sender must have given up', () => {
    expect(judge({ ...waiting, published: null }, 0.2)).toBe('wait');
    expect(judge({ ...waiting, published: null }, 1)).toBe('publish');
  });

  test('ends with the dump', () => {
    const over: Dump = { ...running, outcome: { status: 'dismissed', finished: start } };
    expect(judge(over, 9_999)).toBe('wait');
  });
});
