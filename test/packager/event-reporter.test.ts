import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { pino } from 'pino';
import { createEventReporter } from '../../packager/job/event-reporter.js';
import { eventsOf, PACKAGE_REQUESTS, type Delivery } from '../../queue-config/index.js';
import { openStage, type Stage } from './packager-stage.js';

let stage: Stage;
beforeEach(async () => {
  stage = await openStage('http://127.0.0.1:1');
});
afterEach(() => stage.close());

test('behind the end of a job, nothing tells how far it was', async () => {
  const request = { url: '', docset: '5', dump: 'd1', attempt: 1, replyTo: eventsOf('5') };
  const report = async (delivery: Delivery): Promise<void> => {
    const terms = { run: 1, eventTtl: 60_000, packager: 'p', log: pino({ level: 'silent' }) };
    const reporter = createEventReporter(delivery, request as never, terms);
    // Too early to be sent, and due when the reporter looks again: once a second.
    reporter.progress({ percent: 99 });
    await reporter.say({ type: 'Failed', code: 'internal', detail: '' });
    await sleep(2_500);
    reporter.stop();
    await delivery.ack();
  };
  await stage.sendBare('work');
  const reported = new Promise<void>((resolve, reject) => {
    stage.broker.consume(PACKAGE_REQUESTS, { prefetch: 1 }, (delivery) => {
      const reporting = report(delivery);
      reporting.then(resolve, reject);
      return reporting;
    });
  });
  await reported;
  const messages = await stage.drain(eventsOf('5'));
  expect(messages.map(({ headers }) => headers['status'])).toEqual(['failed']);
});
