/** `adit queues check` on brokers that are set up well, badly, and not at all. */
import { readFileSync } from 'node:fs';
import { afterEach, expect, test } from '@jest/globals';
import { runCheck } from '../../cli/queues-check.js';
import type { AddressedFinding } from '../../queue-config/operations/check/check-each.js';
import { DEFAULT_ACTIVEMQ_SETTINGS, renderActiveMQ } from '../../queue-config/activemq/render-activemq.js';
import {
  connectStomp,
  describeOn,
  freePort,
  startActiveMQ,
  waitUntil,
  type ActiveMQ,
  type ActiveMQOptions,
} from '../servers/index.js';
import { captureOutput } from './capture-output.js';

const STOCK = readFileSync(new URL('./stock-activemq.xml', import.meta.url), 'utf8');
const DAY = 86_400_000;

describeOn('activemq', 'adit queues check, beside ActiveMQ', () => {
  let server: ActiveMQ | undefined;
  const before = { ...process.env };

  afterEach(async () => {
    process.env = { ...before };
    process.exitCode = 0;
    await server?.close();
  });

  async function start(options: ActiveMQOptions): Promise<ActiveMQ> {
    server = await startActiveMQ(options);
    process.env['BROKER_URL'] = `stomp://127.0.0.1:${server.stompPort}`;
    process.env['BROKER_OPERATOR_PASSCODE'] = server.passcodes.operator;
    process.env['BROKER_PACKAGER_PASSCODE'] = server.passcodes.packager;
    process.env['BROKER_API_SERVER_PASSCODE'] = server.passcodes['api-server'];
    return server;
  }

  async function check(wait = 20_000): Promise<{ right: boolean; wrong: string[]; findings: AddressedFinding[] }> {
    const json = await captureOutput(() => runCheck({ eventTtl: DAY, wait, json: true }));
    const { right, findings } = JSON.parse(json) as { right: boolean; findings: AddressedFinding[] };
    return {
      right,
      findings,
      wrong: findings.filter(({ verdict }) => verdict === 'wrong').map(({ title }) => title),
    };
  }

  const QUICK = { idleMs: 1_500, sweepMs: 500, expiryMs: 500 };
  const quickly = (change: (xml: string) => string): ActiveMQOptions => ({
    configuration: change(
      renderActiveMQ({ ...DEFAULT_ACTIVEMQ_SETTINGS, idleQueueMs: 1_500, sweepMs: 500, expiryMs: 500 }),
    ),
  });

  test('what we render is right in every point, requests that wait stay untouched, and nothing is left', async () => {
    const broker = await start(QUICK);
    const sender = await connectStomp(broker.url('api-server'));
    const request = { destination: '/queue/docsets/package', persistent: 'true' };
    await sender.request('SEND', request, 'http://s/api/docsets/7');
    const { right, findings } = await check();
    expect(findings.filter(({ verdict }) => verdict !== 'right')).toEqual([]);
    expect([right, findings.length, process.exitCode ?? 0]).toEqual([true, 12, 0]);
    expect(await broker.queue('/queue/docsets/package')).toMatchObject({ size: 1, dequeued: 0, dispatched: 0 });
    expect(await broker.queue('/queue/docsets/dead')).toMatchObject({ size: 0, consumers: 0 });
    expect(await broker.queue('ActiveMQ.DLQ')).toBeUndefined();
    for (const queue of ['package.>', 'docsets.check.>']) {
      await waitUntil(`${queue} is gone`, async () => (await broker.queue(queue)) === undefined);
    }
    sender.destroy();
  });

  test('with the idle time that operators run it says what it could not see, and that is no fault', async () => {
    await start({});
    const { right, findings } = await check(1_000);
    const others = findings.filter(({ verdict }) => verdict !== 'right');
    expect(others).toEqual([
      expect.objectContaining({ verdict: 'unproved', title: 'an empty idle queue goes by itself' }),
    ]);
    expect(right).toBe(true);
  });

  test('each address of a fail-over URL is asked; one that stands by is no fault, one that is not trusted is', async () => {
    const broker = await start({ ...QUICK, tls: true });
    const closed = `stomp://127.0.0.1:${await freePort()}`;
    const up = `stomp://127.0.0.1:${broker.stompPort}`;
    const untrusted = `stomp+ssl://${new URL(broker.tlsUrl('stomp+ssl', 'operator')).host}`;
    process.env['BROKER_URL'] = [closed, up, untrusted].join(',');
    const { right, findings } = await check();
    const connects = 'the broker accepts connections';
    expect(findings[0]).toMatchObject({ address: closed, title: connects, verdict: 'unproved' });
    expect(findings[0]?.found).toMatch(/^Nobody listens there: it stands by/);
    const seen = findings
      .slice(1, -1)
      .map(({ address, verdict, found }) => [address, verdict === 'right' ? verdict : found]);
    expect(seen).toEqual(Array.from({ length: 12 }, () => [up, 'right']));
    expect(findings.at(-1)).toMatchObject({ address: untrusted, title: connects, verdict: 'wrong' });
    expect(findings.at(-1)?.found).toMatch(/certificate/);
    expect([right, process.exitCode]).toEqual([false, 2]);
  });

  test('nobody at any address: it could not be checked', async () => {
    await start(QUICK);
    process.env['BROKER_URL'] = `stomp://127.0.0.1:${await freePort()},stomp://127.0.0.1:${await freePort()}`;
    await expect(check()).rejects.toThrow(/ECONNREFUSED/);
  });

  test('a stock installation is told everything that is wrong with it', async () => {
    await start({ configuration: STOCK });
    const { right, wrong } = await check();
    expect(right).toBe(false);
    expect(process.exitCode).toBe(2);
    expect(wrong).toEqual([
      'the permanent queues are there, and statistics tell of them',
      'each account gets in, and nobody else',
      'no account may do more',
      'a slash separates the words of a name',
      'progress and its end come in order',
      'an event that nobody reads expires on time, and goes nowhere',
      'no event lives longer than it may',
      'an empty idle queue goes by itself',
      'what a packager refuses is a dead letter, and dead letters expire',
    ]);
    const told = await captureOutput(() => runCheck({ eventTtl: DAY, wait: 1_000 }));
    expect(told).toContain('<destinationPathSeparatorPlugin pathSeparator="/"/>');
    expect(told).toMatch(/packager can write to \/queue\/docsets\/package;/);
  }, 120_000);

  test.each<[string, (xml: string) => string, string[]]>([
    [
      'without the separator',
      (xml) => xml.replace('<destinationPathSeparatorPlugin pathSeparator="/"/>', ''),
      ['a slash separates the words of a name'],
    ],
    [
      'with the stock cursor',
      (xml) => xml.replace(/<pendingQueuePolicy>[^]*?<\/pendingQueuePolicy>/, ''),
      ['progress and its end come in order'],
    ],
    [
      'with expired events among the dead letters',
      (xml) => xml.replace('processExpired="false" processNonPersistent="false"', 'processExpired="true"'),
      ['an event that nobody reads expires on time, and goes nowhere'],
    ],
    [
      'with an api-server that reads requests',
      (xml) =>
        xml.replace('queue="docsets.package" read="packagers"', 'queue="docsets.package" read="packagers,api-servers"'),
      ['no account may do more'],
    ],
    [
      'with a packager that cannot report',
      (xml) =>
        xml.replace(
          'write="api-servers,packagers" admin="api-servers,packagers"',
          'write="api-servers" admin="api-servers"',
        ),
      ['each account may do what it has to'],
    ],
    [
      'with dead letters for ever',
      (xml) => xml.replaceAll(' expiration="1209600000"', ''),
      ['what a packager refuses is a dead letter, and dead letters expire'],
    ],
    [
      'without a ceiling',
      (xml) => xml.replace('ttlCeiling="86400000"', 'ttlCeiling="0"'),
      ['no event lives longer than it may'],
    ],
  ])(
    'a broker %s is told so',
    async (_what, change, titles) => {
      const options = quickly(change);
      expect(options.configuration).not.toBe(quickly((xml) => xml).configuration);
      await start(options);
      expect((await check(5_000)).wrong).toEqual(expect.arrayContaining(titles));
    },
    120_000,
  );
});
