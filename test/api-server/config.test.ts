import { expect, test } from '@jest/globals';
import { ConfigError, readApiServerConfig } from '../../api-server/config.js';

const NEEDED = { BROKER_URL: 'stomp://localhost:61613', PACKAGER_KEY: 'sixteen letters!' };

test('what is not set has its default', () => {
  expect(readApiServerConfig({ ...NEEDED, DATABASE_URL: '' })).toMatchObject({
    port: 3000,
    host: '127.0.0.1',
    publicUrl: 'http://localhost:3000',
    databaseUrl: undefined,
    brokerUrls: ['stomp://localhost:61613'],
    s3: undefined,
    dataDir: './data',
    requestTtl: 86_400_000,
    archiveTtl: 604_800_000,
    dumpLease: 600_000,
    packagingLimit: 86_400_000,
    foreignPackagers: true,
    quota: { documentsPerMinute: 600, dumpsAtOnce: 10 },
    pollInterval: 1_000,
    logLevel: 'info',
    validateResponses: false,
  });
});

test('several brokers are separated by commas, and a public URL has no slash at its end', () => {
  const config = readApiServerConfig({
    ...NEEDED,
    BROKER_URL: 'stomp://a:1, wss://b/ws',
    PUBLIC_URL: 'https://adit.example.org/',
    S3_BUCKET: 'archives',
    AWS_ACCESS_KEY_ID: 'id',
    AWS_SECRET_ACCESS_KEY: 'secret',
  });
  expect(config.brokerUrls).toEqual(['stomp://a:1', 'wss://b/ws']);
  expect(config.publicUrl).toBe('https://adit.example.org');
  expect(config.s3).toMatchObject({
    bucket: 'archives',
    credentials: { accessKeyId: 'id', secretAccessKey: 'secret' },
  });
});

test('quotas and the pause between polls can be taken away', () => {
  const env = { ...NEEDED, QUOTA_DOCUMENTS_PER_MINUTE: 'unlimited', QUOTA_DUMPS: '3', POLL_INTERVAL: 'off' };
  expect(readApiServerConfig(env)).toMatchObject({
    quota: { documentsPerMinute: Infinity, dumpsAtOnce: 3 },
    pollInterval: 0,
  });
});

test('all faults are told at once, each with its variable and what would be right', () => {
  const wrong = {
    PORT: '70000',
    PUBLIC_URL: 'adit.example.org',
    DATABASE_URL: 'mysql://x',
    BROKER_URL: 'amqp://x',
    PACKAGER_KEY: 'short',
    REQUEST_TTL: '1 day',
    DUMP_LEASE: '0s',
    PACKAGING_LIMIT: 'long',
    FOREIGN_PACKAGERS: 'perhaps',
    ARCHIVE_TTL: '7',
    QUOTA_DOCUMENTS_PER_MINUTE: 'many',
    QUOTA_DUMPS: '-1',
    POLL_INTERVAL: 'never',
    LOG_LEVEL: 'loud',
    VALIDATE_RESPONSES: 'yes',
  };
  try {
    readApiServerConfig(wrong);
    throw new Error('it was accepted');
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    const { message } = error as Error;
    for (const name of Object.keys(wrong)) expect(message).toMatch(new RegExp(`^  ${name} must `, 'm'));
  }
  expect(() => readApiServerConfig({})).toThrow(/BROKER_URL is missing.*\n.*PACKAGER_KEY is missing/);
  expect(() => readApiServerConfig({ ...NEEDED, S3_ENDPOINT: 'http://s3' })).toThrow(/S3_BUCKET is missing/);
  expect(() => readApiServerConfig({ ...NEEDED, AWS_ACCESS_KEY_ID: 'x' })).toThrow(/AWS_SECRET_ACCESS_KEY is missing/);
});
