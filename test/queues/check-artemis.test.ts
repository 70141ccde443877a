/** `adit queues check` on an Artemis that is set up well, and on one as it comes. */
import { readFileSync } from 'node:fs';
import { afterEach, expect, test } from '@jest/globals';
import { runCheck } from '../../cli/queues-check.js';
import type { Finding } from '../../queue-config/operations/check/check.js';
import { describeOn, startArtemis, type Artemis, type ArtemisOptions } from '../servers/index.js';
import { captureOutput } from './capture-output.js';

const STOCK = readFileSync(new URL('./stock-artemis.xml', import.meta.url), 'utf8');
const DAY = 86_400_000;

describeOn('artemis', 'adit queues check, beside Artemis', () => {
  let server: Artemis | undefined;
  const before = { ...process.env };

  afterEach(async () => {
    process.env = { ...before };
    process.exitCode = 0;
    await server?.close();
  });

  async function check(options: ArtemisOptions, wait: number): Promise<{ right: boolean; findings: Finding[] }> {
    server = await startArtemis(options);
    const isOurs = options.files === undefined;
    process.env['BROKER_URL'] = isOurs ? `stomp+ssl://127.0.0.1:${server.tlsPort}` : `stomp://127.0.0.1:${server.port}`;
    process.env['BROKER_CA'] = server.authorityFile;
    process.env['BROKER_OPERATOR_PASSCODE'] = server.passcodes.operator;
    process.env['BROKER_PACKAGER_PASSCODE'] = server.passcodes.packager;
    process.env['BROKER_API_SERVER_PASSCODE'] = server.passcodes['api-server'];
    const json = await captureOutput(() => runCheck({ eventTtl: DAY, wait, json: true }));
    return JSON.parse(json) as { right: boolean; findings: Finding[] };
  }

  test('what we render is right in every point, over TLS with a certificate of our own authority', async () => {
    const settings = { idleQueueMs: 1_000, sweepMs: 300, expiryMs: 300 };
    const { right, findings } = await check({ settings }, 60_000);
    expect(findings.filter(({ verdict }) => verdict !== 'right')).toEqual([]);
    expect([right, findings.length, process.exitCode ?? 0]).toEqual([true, 13, 0]);
  }, 180_000);

  test('an installation as it comes is told what is wrong with it', async () => {
    const { right, findings } = await check({ files: { 'broker.xml': STOCK } }, 5_000);
    expect([right, process.exitCode]).toEqual([false, 2]);
    const faults = findings.filter(({ verdict }) => verdict === 'wrong').map(({ title }) => title);
    expect(faults).toEqual(
      expect.arrayContaining([
        'the permanent queues are there, and the management tells of them',
        'no account may do more',
        '/queue/ is no part of a name',
        'one drain at a time reads a progress queue',
        'an event that nobody reads expires on time, and goes nowhere',
        'no event lives longer than it may',
        'a request that kills its consumers is a dead letter, an event never is',
      ]),
    );
  }, 180_000);
});
