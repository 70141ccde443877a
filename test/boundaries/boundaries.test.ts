/** The boundaries hold in our tree; and each rule fails on a tree that breaks it, so that the silence means something. */
import { execFile } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const FOLDERS = ['api-server', 'packager', 'queue-config', 'docker', 'test', 'docs', 'cli'];
/** `.ci` belongs to the tree's own upkeep. */
const AGREED = new Set([...FOLDERS, '.ci']);
const CODE = ['api-server', 'packager', 'queue-config', 'cli', 'test'];
const RULES = '.dependency-cruiser.cjs';

interface Violation {
  from: string;
  rule: { name: string };
}

/** One file for each rule, that breaks this rule and no other. */
const BREACHES: Record<string, { file: string; imports: string }> = {
  'no-cycles': { file: 'cli/cycle-1.ts', imports: "export { b as a } from './cycle-2.js';" },
  'no-unresolved-imports': { file: 'cli/unresolved.ts', imports: "import './no-such-file.js';" },
  'contract-stands-alone': { file: 'queue-config/ours.ts', imports: "import '../test/fine.js';" },
  'api-server-knows-no-packager': {
    file: 'api-server/other-side.ts',
    imports: "import type { Fine } from '../packager/fine.js'; export type T = Fine;",
  },
  'page-by-the-contract-alone': { file: 'api-server/page/server-code.tsx', imports: "import '../fine.js';" },
  'page-for-browsers-alone': { file: 'api-server/browser-code.ts', imports: "import './page/fine.js';" },
  'packager-knows-no-api-server': {
    file: 'packager/other-side.ts',
    imports: "import type { Fine } from '../api-server/fine.js'; export type T = Fine;",
  },
  'contract-by-its-front-door': { file: 'packager/back-door.ts', imports: "import '../queue-config/fine.js';" },
  'cli-needs-no-tests': { file: 'cli/tests.ts', imports: "import '../test/fine.js';" },
  'stomp-only-in-queue-config': { file: 'packager/stomp.ts', imports: "import '@stomp/stompjs';" },
  's3-only-in-s3-adapters': { file: 'packager/bucket.ts', imports: "import '@aws-sdk/client-s3';" },
  'sql-only-in-api-server': {
    file: 'packager/sql.ts',
    imports: "import type { Knex } from 'knex'; export type T = Knex;",
  },
  'zip-only-in-packager': { file: 'cli/zip.ts', imports: "import 'archiver';" },
  'product-without-dev-dependencies': { file: 'cli/dev.ts', imports: "import 'jest';" },
};

describe('the boundaries', () => {
  test('hold in this tree', async () => {
    expect(await violations(ROOT)).toEqual([]);
  });

  test('are no other top-level folders than the agreed ones', async () => {
    const { stdout } = await promisify(execFile)('git', ['ls-files'], { cwd: ROOT, maxBuffer: 1 << 26 });
    const folders = new Set(stdout.split('\n').flatMap((path) => (path.includes('/') ? [path.split('/', 1)[0]] : [])));
    expect([...folders].filter((folder) => folder !== undefined && !AGREED.has(folder))).toEqual([]);
  });
});

describe('a tree that breaks the boundaries', () => {
  const tree = mkdtempSync(join(tmpdir(), 'boundaries-'));
  let found: Violation[];

  beforeAll(async () => {
    plant(tree);
    found = await violations(tree);
  });
  afterAll(() => rmSync(tree, { recursive: true }));

  test.each(Object.entries(BREACHES))('breaks %s', (rule, { file }) => {
    expect(found.filter(({ from }) => from === file).map((violation) => violation.rule.name)).toEqual([rule]);
  });

  test('breaks nothing where it keeps to them', () => {
    const guilty = new Set([...Object.values(BREACHES).map(({ file }) => file), 'cli/cycle-2.ts']);
    expect(found.filter(({ from }) => !guilty.has(from))).toEqual([]);
  });

  test('breaks each of the rules', () => {
    const { forbidden } = createRequire(import.meta.url)(join(ROOT, RULES)) as { forbidden: { name: string }[] };
    expect(Object.keys(BREACHES).sort()).toEqual(forbidden.map(({ name }) => name).sort());
  });
});

/** The breaches, and beside them files that use everything where it may be used. */
function plant(tree: string): void {
  const files: Record<string, string> = {
    'cli/cycle-2.ts': "export { a as b } from './cycle-1.js';",
    'cli/main.ts': "import '../api-server/fine.js'; import '../packager/fine.js'; import '../queue-config/fine.js';",
    'test/fine.ts': "import '../api-server/fine.js'; import '../packager/fine.js'; import 'pg'; import 'jest';",
    'queue-config/fine.ts': "import '@stomp/stompjs'; import 'ws';",
    'queue-config/index.ts': "import './fine.js';",
    'api-server/fine.ts': "import 'pg'; import 'knex'; import '../queue-config/index.js'; export type Fine = 1;",
    'api-server/http/openapi-types.ts': 'export type Schema = 1;',
    'api-server/page/fine.tsx':
      "import type { Schema } from '../http/openapi-types.js'; import 'preact'; import './part.js'; export type Fine = Schema;",
    'api-server/page/part.tsx': 'export {};',
    'packager/fine.ts':
      "import 'archiver'; import './s3-store.js'; import '../queue-config/index.js'; export type Fine = 1;",
    'packager/s3-store.ts': "import '@aws-sdk/client-s3';",
    ...Object.fromEntries(Object.values(BREACHES).map(({ file, imports }) => [file, imports])),
  };
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(tree, path)), { recursive: true });
    writeFileSync(join(tree, path), text);
  }
  for (const file of [RULES, 'tsconfig.json', 'package.json']) copyFileSync(join(ROOT, file), join(tree, file));
  symlinkSync(join(ROOT, 'node_modules'), join(tree, 'node_modules'));
}

async function violations(tree: string): Promise<Violation[]> {
  const cruiser = join(ROOT, 'node_modules/dependency-cruiser/bin/dependency-cruise.mjs');
  const args = [cruiser, '--config', RULES, '--output-type', 'json', ...CODE];
  // With this output the exit code is 0 whatever was found.
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: tree, maxBuffer: 1 << 28 });
  const { summary } = JSON.parse(stdout) as { summary: { violations: (Violation & { to: string })[] } };
  return summary.violations.map(({ from, to, rule }) => ({ from, to, rule: { name: rule.name } }));
}
