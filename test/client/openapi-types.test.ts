/** The client's types are those of openapi.yaml. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from '@jest/globals';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

test('the types of the client were generated from openapi.yaml as it is ("npm run generate" does it)', async () => {
  const check = promisify(execFile)('npm', ['run', '--silent', 'generate', '--', '--check'], { cwd: ROOT });
  await expect(check).resolves.toMatchObject({ stderr: expect.not.stringContaining('rror') });
});
