/** What openapi.yaml promises to those who read it. */
import { describe, expect, test } from '@jest/globals';
import { Ajv2020 } from 'ajv/dist/2020.js';
import ajvFormats from 'ajv-formats';
import { PROBLEMS } from '../../api-server/http/problems.js';
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

/** Told by paths that no operation has, and in the status of dumps. */
const ELSEWHERE = [
  ...['path-unknown', 'method-not-allowed', 'problem-not-found', 'packager-lost', 'archive-missing'],
  ...['packager-stalled', 'packaging-failed', 'source-unavailable', 'source-refused', 'listing-incomplete'],
  ...['archive-not-verified', 'packager-killed', 'packaging-overdue'],
];

test('an answer with an error names all types of problem that have its status', () => {
  const named = operations.flatMap(({ responses }) =>
    Object.entries(responses).flatMap(([status, { content }]) => {
      const constraint = content?.['application/problem+json']?.schema?.allOf?.[1]?.properties;
      if (constraint === undefined) return [];
      expect(constraint['status']?.const).toBe(Number(status));
      return (constraint['type']?.enum ?? []).map((type) => `${status} ${String(type)}`);
    }),
  );
  const known = Object.entries(PROBLEMS).filter(([slug]) => !ELSEWHERE.includes(slug));
  expect([...new Set(named)].sort()).toEqual(known.map(([slug, { status }]) => `${status} /problems/${slug}`).sort());
});

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

  test('says by their exact status what faults there may be', () => {
    const statuses = Object.keys(operation.responses);
    expect(statuses.filter((status) => !/^[1-5]\d\d$/.test(status))).toEqual([]);
    for (const status of operation.needsKey ? ['400', '401', '500', '503'] : ['404', '500'])
      expect(statuses).toContain(status);
    // A body may come along where none is described: it is looked at before anybody asks what it is for.
    const takesBody = !['get', 'delete'].includes(operation.method.toLowerCase());
    for (const status of takesBody ? ['413', '415'] : []) expect(statuses).toContain(status);
    for (const status of statuses.filter((each) => Number(each) >= 400)) {
      expect(Object.keys(operation.responses[status]?.content ?? {})).toEqual(['application/problem+json']);
    }
  });
});
