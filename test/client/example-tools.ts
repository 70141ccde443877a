/** What the examples are run with, and where `install.sh` has put it. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from '@jest/globals';
import { cacheFolder } from '../servers/cache-folder.js';
import { findProgram } from '../servers/server-process.js';

const environment = (program: string): string | undefined => {
  const path = join(cacheFolder(), 'examples/bin', program);
  return existsSync(join(cacheFolder(), 'examples/requirements.txt')) ? path : undefined;
};

const hasInR = (name: string): boolean => existsSync(`/usr/lib/R/site-library/${name}`);

const FOUND = {
  bash: () => (findProgram('curl') && findProgram('jq') ? findProgram('bash') : undefined),
  python: () => environment('python'),
  Rscript: () => (hasInR('httr2') && hasInR('jsonlite') ? findProgram('Rscript') : undefined),
  jupyter: () => environment('jupyter-execute'),
  node: () => process.execPath,
};

export type ExampleTool = keyof typeof FOUND;

/** A test with the path of a tool. Where that is missing it is skipped, and its title says what to do; with `CI=true` it fails instead. */
export function testWith(tool: ExampleTool, title: string, body: (program: string) => Promise<void>): void {
  const program = FOUND[tool]();
  const remedy = `${title} (needs test/servers/install.sh examples)`;
  if (program !== undefined) test(title, () => body(program), 120_000);
  else if (process.env['CI'] === 'true') test(remedy, () => Promise.reject(new Error(remedy)));
  else test.skip(remedy, () => undefined);
}
