/** The examples of docs/examples do what they say, on a service with the sample collection. */
import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { verifyBag } from '../../cli/miner/verify-bag.js';
import { ingestSample } from '../../cli/sample/ingest-sample.js';
import { makeKey, makeService, type Service } from '../acceptance/service.js';
import { startEmbeddedStage, type Stage } from '../acceptance/stage.js';
import { testWith, type ExampleTool } from './example-tools.js';

const EXAMPLES = fileURLToPath(new URL('../../docs/examples/', import.meta.url));

/** What runs each, and something that it prints. */
const STUDIES: Record<string, { tool: ExampleTool; prints: RegExp }> = {
  'study.sh': { tool: 'bash', prints: /its SHA-256 is right/ },
  'study.py': { tool: 'python', prints: /46 texts of \d+ words/ },
  'study.R': { tool: 'Rscript', prints: /46 texts/ },
  'study.mjs': { tool: 'node', prints: /\d+ checksums are right/ },
};

interface Notebook {
  cells: { outputs?: { data?: { 'image/png'?: string } }[] }[];
}

describe('the example', () => {
  let stage: Stage;
  let service: Service;
  let env: Record<string, string>;

  beforeAll(async () => {
    stage = await startEmbeddedStage();
    service = await makeService(stage);
    const { url } = await service.apiServer();
    await service.packager();
    await ingestSample({ url, key: await makeKey(service, 'admin') });
    mkdirSync(service.file('home'));
    env = {
      PATH: process.env['PATH'] ?? '',
      // What is drawn and cached on the way goes where it is cleared away.
      HOME: service.file('home'),
      ADIT_URL: url,
      ADIT_KEY: await makeKey(service),
    };
  });
  afterAll(async () => {
    await service.close();
    await stage.close();
  });

  for (const [name, { tool, prints }] of Object.entries(STUDIES)) {
    testWith(tool, `${name} goes from a query to an archive in which every checksum is right`, async (program) => {
      const file = service.file(`${name}.zip`);
      const { stdout } = await promisify(execFile)(program, [join(EXAMPLES, name), file], { env });
      expect(stdout).toMatch(/46 documents/);
      expect(stdout).toMatch(prints);
      expect((await verifyBag(file)).payload).toEqual({ json: 46, txt: 46 });
    });
  }

  testWith('jupyter', 'word-frequency.ipynb goes from a query to a plot of words by year', async (program) => {
    const executed = service.file('executed.ipynb');
    await promisify(execFile)(program, ['--output', executed, join(EXAMPLES, 'word-frequency.ipynb')], { env });
    const { cells } = JSON.parse(readFileSync(executed, 'utf8')) as Notebook;
    const outputs = cells.flatMap((cell) => cell.outputs ?? []);
    expect(JSON.stringify(outputs)).toContain('All 233 documents are in the archive.');
    const pictures = outputs.flatMap(({ data }) => data?.['image/png'] ?? []);
    expect(pictures).toHaveLength(1);
    // An empty plot has some 10 kB.
    expect(Buffer.from(pictures[0] ?? '', 'base64').length).toBeGreaterThan(25_000);
  });

  test('is each of those in docs/examples', () => {
    expect(readdirSync(EXAMPLES).sort()).toEqual([...Object.keys(STUDIES), 'word-frequency.ipynb'].sort());
  });
});
