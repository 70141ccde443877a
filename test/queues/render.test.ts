/** `adit queues render`, as an operator runs it. */
import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { Command } from 'commander';
import { addQueueCommands } from '../../cli/queues.js';
import { DEFAULT_ACTIVEMQ_SETTINGS, renderActiveMQ } from '../../queue-config/activemq/render-activemq.js';
import { captureOutput } from './capture-output.js';

const GOLDEN = readFileSync(new URL('../../queue-config/activemq/activemq.xml', import.meta.url), 'utf8');

async function render(...args: string[]): Promise<string> {
  const queues = new Command('queues').exitOverride().configureOutput({ writeErr: () => undefined });
  addQueueCommands(queues);
  for (const command of queues.commands) command.copyInheritedSettings(queues);
  return captureOutput(() => queues.parseAsync(['render', ...args], { from: 'user' }));
}

test('with the defaults, it is the file in the repository, to the byte', async () => {
  expect(renderActiveMQ(DEFAULT_ACTIVEMQ_SETTINGS)).toBe(GOLDEN);
  expect(await render('--broker', 'activemq')).toBe(GOLDEN);
});

test('what an operator decides comes into the file, and the head says it', async () => {
  const times = ['--event-ttl', '6h', '--request-ttl', '36h', '--idle-queue', '90m', '--dead-letter', '30d'];
  const xml = await render('--broker', 'activemq', ...times, '--memory', '40', '--disk', '500 mb');
  expect(xml).toContain('ttlCeiling="129600000" zeroExpirationOverride="129600000"');
  expect(xml.match(/inactiveTimeoutBeforeGC="5400000"/g)).toHaveLength(2);
  expect(xml.match(/ expiration="2592000000"/g)).toHaveLength(2);
  expect(xml).toContain('percentOfJvmHeap="40"');
  expect(xml).toContain('${BROKER_STORE_LIMIT:500 mb}');
  expect(xml).toContain('event-ttl 6h, request-ttl 36h, idle-queue 90m, dead-letter 30d, memory 40, disk 500 mb.');
});

test.each([
  [['--broker', 'kafka'], /Allowed choices are activemq/],
  [[], /--broker <broker>.*not specified/],
  [['--broker', 'activemq', '--idle-queue', '5m'], /10m or more/],
  [['--broker', 'activemq', '--event-ttl', '1 day'], /duration such as/],
  [['--broker', 'activemq', '--memory', '100'], /from 1 to 99/],
  [['--broker', 'activemq', '--disk', '4 gb}"/>'], /size such as/],
])('%j is refused, with what would be right', async (args, message) => {
  await expect(render(...args)).rejects.toThrow(message);
});
