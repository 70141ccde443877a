/** The containers are set up as the tests are: versions, settings and files that docker/ names are those of this tree. */
import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { GetBucketLifecycleConfigurationCommand } from '@aws-sdk/client-s3';
import { describe, expect, test } from '@jest/globals';
import { load } from 'js-yaml';
import { readApiServerConfig } from '../../api-server/config.js';
import { readPackagerConfig } from '../../packager/config.js';
import { describeOn, findPostgreSQL, pinnedVersion, startRadosgw } from './index.js';

const root = new URL('../../', import.meta.url);
const read = (path: string): string => readFileSync(new URL(path, root), 'utf8');

interface Service {
  image: string;
  environment: Record<string, string>;
  volumes?: string[];
}

/** The example's variables. */
const example = Object.fromEntries(
  read('docker/.env.example')
    .split('\n')
    .filter((line) => /^[A-Z]/.test(line))
    .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
);

/** compose.yaml with the example's variables filled in. */
const compose = load(
  read('docker/compose.yaml').replace(/\$\{([A-Z0-9_]+)(?::[-?][^}]*)?\}/g, (_, name: string) => {
    if (example[name] === undefined) throw new Error(`docker/.env.example lacks ${name}`);
    return example[name];
  }),
) as { services: Record<'broker' | 'database' | 's3' | 'bucket' | 'api-server' | 'packager', Service> };

describe('docker/compose.yaml', () => {
  test('gives each side an environment that it accepts', () => {
    const { services } = compose;
    const apiServer = readApiServerConfig(services['api-server'].environment);
    const packager = readPackagerConfig(services.packager.environment);
    expect(apiServer.packagerKey).toBe(packager.packagerKey);
    expect(packager.archiveStore).toMatchObject({ type: 's3', bucket: example['S3_BUCKET'] });
  });

  test('runs the broker that the tests run, with its configuration and every passcode that this needs', () => {
    const { image, environment, volumes = [] } = compose.services.broker;
    expect(image).toBe(`apache/activemq-classic:${pinnedVersion()}`);
    expect(volumes[0]).toMatch(/^\.\.\/queue-config\/activemq\/activemq\.xml:/);
    const needed = [...read('queue-config/activemq/activemq.xml').matchAll(/"\$\{(BROKER_[A-Z_]+)\}"/g)];
    expect(Object.keys(environment).sort()).toEqual(needed.map(([, name]) => name).sort());
    expect(needed).toHaveLength(3);
  });
});

describeOn('postgresql', 'docker/compose.yaml and the database of the tests', () => {
  test('are of one major version', () => {
    expect(compose.services.database.image).toMatch(new RegExp(`^postgres:${findPostgreSQL()?.version ?? 0}-`));
  });
});

describe('docker/Dockerfile', () => {
  test('copies only what is there', () => {
    const sources = [...read('docker/Dockerfile').matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(([, paths = '']) =>
      paths.split(' '),
    );
    expect(sources.length).toBeGreaterThan(8);
    expect(sources.filter((path) => !existsSync(new URL(path, root)))).toEqual([]);
  });

  test('runs as somebody else than root, and knows when it is healthy', () => {
    const text = read('docker/Dockerfile');
    expect(text).toMatch(/^USER node$/m);
    expect(text.match(/^HEALTHCHECK /gm)).toHaveLength(2);
  });
});

describeOn('radosgw', 'docker/prepare-bucket.mjs', () => {
  test('makes the bucket with its rule, and changes nothing the second time', async () => {
    const server = await startRadosgw();
    const client = server.client();
    const run = (): Promise<{ stdout: string }> =>
      promisify(execFile)(process.execPath, [new URL('docker/prepare-bucket.mjs', root).pathname], {
        env: { PATH: process.env['PATH'], ...server.environment, S3_BUCKET: 'adit-dumps' },
      });
    try {
      await run();
      expect((await run()).stdout).toContain('adit-dumps is ready');
      const { Rules } = await client.send(new GetBucketLifecycleConfigurationCommand({ Bucket: 'adit-dumps' }));
      expect(Rules).toEqual([expect.objectContaining({ AbortIncompleteMultipartUpload: { DaysAfterInitiation: 2 } })]);
    } finally {
      client.destroy();
      await server.close();
    }
  });
});
