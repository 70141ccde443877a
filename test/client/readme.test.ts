/** The commands that README.md shows to miners work as they are written there. */
import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { verifyBag } from '../../cli/miner/verify-bag.js';
import { ingestSample } from '../../cli/sample/ingest-sample.js';
import { makeKey, makeService, type Service } from '../acceptance/service.js';
import { startEmbeddedStage, type Stage } from '../acceptance/stage.js';
import { MAIN } from './adit.js';

const README = readFileSync(fileURLToPath(new URL('../../README.md', import.meta.url)), 'utf8');

/** What a step prints, in the order of the README. */
const PRINTED = [
  /^\d+ documents\n[^]+\nparty\n[^]+\ndecades\n/,
  /^1\n$/,
  /^railroads\.zip has docset 1\. All \d+ documents are in the archive\.\n.+ SHA-256 [0-9a-f]{64}\nVerified: /,
  /^canals\.zip has docset 2\. /,
  /^\S+\t2\tmeta,txt\tsuccessful\t.+\n\S+\t1\tmeta,txt\tsuccessful\t.+\n$/,
];

describe('the commands of the README', () => {
  let stage: Stage;
  let service: Service;
  let cwd: string;
  let env: Record<string, string | undefined>;

  beforeAll(async () => {
    stage = await startEmbeddedStage();
    service = await makeService(stage);
    const { url } = await service.apiServer();
    await service.packager();
    await ingestSample({ url, key: await makeKey(service, 'admin') });
    cwd = service.file('work');
    mkdirSync(join(cwd, 'node_modules/.bin'), { recursive: true });
    symlinkSync(MAIN, join(cwd, 'node_modules/.bin/adit'));
    env = { ...process.env, ADIT_URL: url, ADIT_KEY: await makeKey(service) };
  });
  afterAll(async () => {
    await service.close();
    await stage.close();
  });

  test('go from a query to verified archives', async () => {
    const [, block = ''] = /## As a miner\n+```sh\n([^]*?)```/.exec(README) ?? [];
    const [settings, ...commands] = block.split('\n').filter((line) => line !== '');
    expect(settings).toMatch(/^export ADIT_URL=http:\/\/localhost:3000 ADIT_KEY=adit_…$/);
    expect(commands).toHaveLength(PRINTED.length);
    for (const [index, command] of commands.entries()) {
      const { stdout } = await promisify(execFile)('sh', ['-c', command], { cwd, env });
      expect(stdout).toMatch(PRINTED[index] ?? /nothing/);
    }
    for (const file of ['railroads.zip', 'canals.zip'])
      expect((await verifyBag(join(cwd, file))).verified).toBeGreaterThan(9);
  });
});
