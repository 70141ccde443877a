/** `adit queues render`, as an operator runs it. */
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { Command } from 'commander';
import { addQueueCommands } from '../../cli/queues.js';
import { DEFAULT_ACTIVEMQ_SETTINGS, renderActiveMQ } from '../../queue-config/activemq/render-activemq.js';
import { DEFAULT_ARTEMIS_SETTINGS, renderArtemisFiles } from '../../queue-config/artemis/render-artemis.js';
import { DEFAULT_RABBITMQ_SETTINGS, renderRabbitMQ } from '../../queue-config/rabbitmq/render-rabbitmq.js';
import { captureOutput } from './capture-output.js';

const RABBITMQ_FILES = ['rabbitmq.conf', 'definitions.json', 'enabled_plugins'] as const;

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

test('for Artemis with the defaults, they are the files in the repository, to the byte', async () => {
  const printed = await render('--broker', 'artemis');
  for (const [name, text] of Object.entries(renderArtemisFiles(DEFAULT_ARTEMIS_SETTINGS, {}))) {
    expect(text).toBe(readFileSync(new URL(`../../queue-config/artemis/${name}`, import.meta.url), 'utf8'));
    expect(printed).toContain(`#### ${name}\n${text}`);
  }
});

test('for Artemis, what an operator decides comes into the file, and TLS leaves the rest to the own machine', async () => {
  const times = ['--event-ttl', '6h', '--request-ttl', '36h', '--idle-queue', '90m', '--dead-letter', '30d'];
  const printed = await render('--broker', 'artemis', ...times, '--memory', '40', '--disk', '500 mb', '--tls');
  expect(printed).toContain(
    'event-ttl 6h, request-ttl 36h, idle-queue 90m, dead-letter 30d, memory 40, disk 500 mb, tls.',
  );
  expect(printed.match(/<max-expiry-delay>(21600000|129600000|2592000000)</g)).toHaveLength(3);
  expect(printed.match(/<auto-delete-queues-delay>5400000</g)).toHaveLength(2);
  expect(printed).toContain('<global-max-size-percent-of-jvm-max-memory>40<');
  expect(printed).toContain('<page-limit-bytes>500MB<');
  expect(printed).toMatch(/BROKER_HOST:127\.0\.0\.1[^]*BROKER_TLS_HOST:0\.0\.0\.0[^\n]*sslEnabled=true/);
});

test('for Artemis, each of a pair is told which one it is, and one alone is none', async () => {
  const sharing = (policy: string): RegExp =>
    new RegExp(`<shared-store>\\s*<${policy}>[^]*</${policy}>\\s*</shared-store>`);
  expect(await render('--broker', 'artemis', '--pair', 'primary')).toMatch(sharing('primary'));
  expect(await render('--broker', 'artemis', '--pair', 'backup')).toMatch(sharing('backup'));
  expect(await render('--broker', 'artemis')).not.toContain('ha-policy');
});

test('for ActiveMQ, TLS leaves the rest to the own machine', async () => {
  const xml = await render('--broker', 'activemq', '--tls');
  expect(xml).toContain('uri="stomp://${BROKER_HOST:127.0.0.1}:');
  expect(xml).toContain('uri="stomp+ssl://${BROKER_TLS_HOST:0.0.0.0}:');
  expect(xml).toContain('keyStorePassword="${BROKER_KEYSTORE_PASSWORD}"');
});

test('for RabbitMQ with the defaults, they are the files in the repository, to the byte', async () => {
  const read = (name: string): string =>
    readFileSync(new URL(`../../queue-config/rabbitmq/${name}`, import.meta.url), 'utf8');
  const rendered = renderRabbitMQ(DEFAULT_RABBITMQ_SETTINGS);
  const printed = await render('--broker', 'rabbitmq');
  for (const name of RABBITMQ_FILES) {
    expect(rendered[name]).toBe(read(name));
    expect(printed).toContain(`#### ${name}\n${read(name)}`);
  }
});

test('for RabbitMQ, what an operator decides comes into the files, passcodes as hashes that the broker can tell', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'adit-render-'));
  const before = { ...process.env };
  try {
    process.env['BROKER_API_SERVER_PASSCODE'] = 'pässcode';
    const times = ['--event-ttl', '6h', '--request-ttl', '36h', '--idle-queue', '90m', '--dead-letter', '30d'];
    const others = ['--memory', '40', '--disk', '500 mb', '--vhost', 'adit', '--folder', '/srv/rabbitmq', '--tls'];
    expect(await render('--broker', 'rabbitmq', ...times, ...others, '--output', folder)).toBe('');
    const server = readFileSync(join(folder, 'rabbitmq.conf'), 'utf8');
    for (const line of [
      'load_definitions = /srv/rabbitmq/definitions.json',
      'stomp.default_vhost = adit',
      'vm_memory_high_watermark.relative = 0.40',
      'disk_free_limit.absolute = 500MB',
      'stomp.listeners.tcp.1 = 127.0.0.1:61613',
      'stomp.listeners.ssl.1 = 0.0.0.0:61614',
      'ssl_options.keyfile = /srv/rabbitmq/tls/key.pem',
    ]) {
      expect(server.split('\n')).toContain(line);
    }
    const definitions = JSON.parse(readFileSync(join(folder, 'definitions.json'), 'utf8')) as Definitions;
    const lives = Object.fromEntries(definitions.policies.map(({ name, definition }) => [name, definition]));
    expect(lives['adit-progress']).toMatchObject({ 'message-ttl': 21_600_000, expires: 27_000_000 });
    expect(lives['adit-work']).toMatchObject({ 'message-ttl': 129_600_000 });
    expect(lives['adit-dead-letters']).toMatchObject({ 'message-ttl': 2_592_000_000 });
    const hashes = Object.fromEntries(definitions.users.map((user) => [user.name, user.password_hash]));
    const hash = Buffer.from(hashes['api-server'] ?? '', 'base64');
    const expected = createHash('sha256').update(hash.subarray(0, 4)).update('pässcode').digest();
    expect(hash.subarray(4).equals(expected)).toBe(true);
    expect(hashes['packager']).toBe('');
  } finally {
    process.env = before;
    rmSync(folder, { recursive: true });
  }
});

interface Definitions {
  users: { name: string; password_hash: string }[];
  policies: { name: string; definition: Record<string, unknown> }[];
}

test.each([
  [['--broker', 'artemis', '--pair', 'third'], /Allowed choices are primary, backup/],
  [['--broker', 'kafka'], /Allowed choices are activemq, artemis, rabbitmq/],
  [[], /--broker <broker>.*not specified/],
  [['--broker', 'activemq', '--idle-queue', '5m'], /10m or more/],
  [['--broker', 'activemq', '--event-ttl', '1 day'], /duration such as/],
  [['--broker', 'activemq', '--memory', '100'], /from 1 to 99/],
  [['--broker', 'activemq', '--disk', '4 gb}"/>'], /size such as/],
])('%j is refused, with what would be right', async (args, message) => {
  await expect(render(...args)).rejects.toThrow(message);
});
