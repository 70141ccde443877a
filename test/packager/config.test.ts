import { describe, expect, test } from '@jest/globals';
import { ConfigError, readPackagerConfig } from '../../packager/config.js';

const RIGHT = {
  API_URL: 'http://localhost:3000',
  PACKAGER_KEY: 'the-key-of-a-packager',
  BROKER_URL: 'stomp://localhost:61613',
  DATA_DIR: '/var/adit/',
};

function faultsOf(env: Record<string, string | undefined>): string[] {
  try {
    readPackagerConfig(env);
  } catch (error) {
    if (error instanceof ConfigError) return error.faults;
    throw error;
  }
  return [];
}

describe("the packager's configuration", () => {
  test('has defaults for all that can have one', () => {
    expect(readPackagerConfig(RIGHT)).toEqual({
      apiUrl: new URL('http://localhost:3000'),
      packagerKey: 'the-key-of-a-packager',
      brokerUrl: 'stomp://localhost:61613',
      archiveStore: { type: 'folder', folder: '/var/adit/archives' },
      contentFolder: '/var/adit/content',
      eventTtl: 86_400_000,
      stallTimeout: 300_000,
      concurrency: 1,
      largeConcurrency: 1,
      logLevel: 'info',
      healthPort: undefined,
    });
  });

  test('reads durations, numbers and S3', () => {
    const config = readPackagerConfig({
      ...RIGHT,
      EVENT_TTL: '7d',
      STALL_TIMEOUT: '30s',
      PACKAGER_CONCURRENCY: '4',
      HEALTH_PORT: '0',
      LOG_LEVEL: 'warn',
      S3_BUCKET: 'archives',
      S3_ENDPOINT: 'http://s3:9000',
      AWS_ACCESS_KEY_ID: 'id',
      AWS_SECRET_ACCESS_KEY: 'secret',
    });
    expect(config).toMatchObject({
      eventTtl: 604_800_000,
      stallTimeout: 30_000,
      concurrency: 4,
      healthPort: 0,
      logLevel: 'warn',
    });
    expect(config.archiveStore).toEqual({
      type: 's3',
      bucket: 'archives',
      endpoint: 'http://s3:9000/',
      region: 'us-east-1',
      credentials: { accessKeyId: 'id', secretAccessKey: 'secret', sessionToken: undefined },
    });
  });

  test('names every fault at once, and what would be right', () => {
    const faults = faultsOf({
      API_URL: 'ftp://x',
      BROKER_URL: 'http://x',
      STALL_TIMEOUT: '5',
      PACKAGER_CONCURRENCY: '65',
      S3_ENDPOINT: 'http://s3',
      AWS_ACCESS_KEY_ID: 'x',
    });
    expect(faults.map((fault) => fault.split(' ')[0])).toEqual([
      'API_URL',
      'PACKAGER_KEY',
      'BROKER_URL',
      'STALL_TIMEOUT',
      'PACKAGER_CONCURRENCY',
      'S3_BUCKET',
      'S3_BUCKET',
      'AWS_ACCESS_KEY_ID',
    ]);
    expect(faults.join('\n')).toContain('such as 30s, 10m, 24h or 7d');
  });

  test.each(['5', '5 m', '-5m', '0s', '1.5h', '5 minutes', 'soon', '1y'])('the duration %j is refused', (written) => {
    expect(faultsOf({ ...RIGHT, STALL_TIMEOUT: written })).toHaveLength(1);
  });

  test('refuses a packager that would take no request', () => {
    const faults = faultsOf({ ...RIGHT, PACKAGER_CONCURRENCY: '0', PACKAGER_LARGE_CONCURRENCY: '0' });
    expect(faults).toEqual([expect.stringContaining('must not both be 0')]);
    expect(readPackagerConfig({ ...RIGHT, PACKAGER_CONCURRENCY: '0' })).toMatchObject({
      concurrency: 0,
      largeConcurrency: 1,
    });
  });

  test('never repeats a passcode', () => {
    expect(faultsOf({ ...RIGHT, BROKER_URL: 'http://user:hidden-word@x' }).join()).not.toContain('hidden-word');
  });

  test('takes an empty variable for one that is not set', () => {
    expect(readPackagerConfig({ ...RIGHT, S3_BUCKET: '', STALL_TIMEOUT: ' ' }).archiveStore.type).toBe('folder');
  });
});
