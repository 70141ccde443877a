/** What openapi.yaml promises to those who read it. */
import { describe, expect, test } from '@jest/globals';
import { Ajv2020 } from 'ajv/dist/2020.js';
import ajvFormats from 'ajv-formats';
import { contract, operations, shownOf, type MediaType } from './contract-operations.js';

const ajv = new Ajv2020({ strict: false, allErrors: true });
ajvFormats.default(ajv);
ajv.addSchema(contract, 'contract');

/** Examples that were put together from those of the parts are seen by no linter. */
function faultsOf({ schema = {} }: MediaType, example: unknown): string | undefined {
  const within = JSON.parse(JSON.stringify(schema).replaceAll('"#/', '"contract#/')) as object;
  const check = ajv.compile(within);
  return check(example) ? undefined : ajv.errorsText(check.errors);
}

/** Texts and bytes show themselves. */
const needsExample = ([mediaType]: [string, MediaType]): boolean => mediaType === 'application/json';

describe.each(operations)('$operationId', (operation) => {
  test('shows what to send', () => {
    for (const [mediaType, content] of Object.entries(operation.bodies)) {
      expect([mediaType, shownOf(content).length]).not.toEqual([mediaType, 0]);
    }
  });

  test('shows what comes back', () => {
    for (const [status, { content = {} }] of Object.entries(operation.responses)) {
      for (const [, body] of Object.entries(content).filter(needsExample)) {
        const shown = shownOf(body);
        expect([status, shown.length]).not.toEqual([status, 0]);
        for (const example of shown) expect([example, faultsOf(body, example)]).toEqual([example, undefined]);
      }
    }
  });

  test('says what faults look like', () => {
    for (const range of operation.needsKey ? ['4XX', '5XX'] : ['4XX']) {
      expect(Object.keys(operation.responses[range]?.content ?? {})).toEqual(['application/problem+json']);
    }
  });
});
