/** `describeReaders(['unzip'], 'an archive', () => { … })` */
import { describe, test } from '@jest/globals';
import { missingTools, remedyOf, type Tool } from './readers.js';

/** Where a tool is missing the suite is skipped, and its title says how to install it; with `CI=true` it fails instead. */
export function describeReaders(tools: readonly Tool[], title: string, body: () => void): void {
  const missing = missingTools(tools);
  if (missing.length === 0) {
    describe(title, body);
    return;
  }
  if (process.env['CI'] === 'true') {
    describe(title, () => {
      test(`has its readers (${remedyOf(missing)})`, () => {
        throw new Error(remedyOf(missing));
      });
    });
    return;
  }
  describe.skip(`${title} (${remedyOf(missing)})`, body);
}
