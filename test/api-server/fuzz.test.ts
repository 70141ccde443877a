/**
 * Ten thousand requests made of openapi.yaml, fitting and hostile, to an api-server in a process of its own. None may fail here,
 * be answered as is not described, or show a key or a trace. `FUZZ_SEED` repeats a run, `FUZZ_REQUESTS` makes it longer.
 * With `CI=true` the requests are the same each time: what chance finds is for whoever looks for it, not for whoever lands something else.
 */
import { randomInt } from 'node:crypto';
import { Agent, request as httpRequest } from 'node:http';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Ajv2020 } from 'ajv/dist/2020.js';
import ajvFormats from 'ajv-formats';
import fc from 'fast-check';
import pMap from 'p-map';
import { openDatabase } from '../../api-server/db/open-database.js';
import { createMiner, revokeKey, type NewMiner } from '../../api-server/miners/miners.js';
import { startEmbeddedBroker, type EmbeddedBroker } from '../../queue-config/embedded-broker/index.js';
import { startAdit, type AditProcess } from '../acceptance/adit-process.js';
import { freePort, makeRunFolder } from '../servers/index.js';
import { contract, operations } from './contract-operations.js';
import { PACKAGER_KEY, ndjson } from './fresh-api-server.js';
import { requests, type FuzzRequest } from './fuzz/request-arbitrary.js';
import { copyMigratedFolder } from './migrated-folder.js';

const SEED_OF_CI = 1_595_897_114;
const SEED = Number(process.env['FUZZ_SEED'] ?? (process.env['CI'] === 'true' ? SEED_OF_CI : randomInt(2 ** 31)));
const REQUESTS = Number(process.env['FUZZ_REQUESTS'] ?? 10_000);
const AT_ONCE = 8;

const folder = makeRunFolder('fuzz');
const agent = new Agent({ keepAlive: true, maxSockets: AT_ONCE });
let broker: EmbeddedBroker;
let server: AditProcess;
let port: number;
let keys: Record<string, string>;

beforeAll(async () => {
  const dataDir = join(folder.path, 'data');
  await copyMigratedFolder(dataDir);
  broker = await startEmbeddedBroker({ folder: join(folder.path, 'broker'), port: 0 });
  port = await freePort();
  const env = {
    DATA_DIR: dataDir,
    PORT: String(port),
    BROKER_URL: broker.url,
    PACKAGER_KEY,
    LOG_LEVEL: 'debug',
    VALIDATE_RESPONSES: 'true',
    QUOTA_DOCUMENTS_PER_MINUTE: 'unlimited',
  };
  server = await startAdit('api-server', env, join(folder.path, 'server.log'));
  const database = await openDatabase({ databaseUrl: undefined, dataDir });
  const keyOf = async (facts: Partial<NewMiner>) => createMiner(database.knex, { name: 'fuzz', ...facts });
  const revoked = await keyOf({});
  await revokeKey(database.knex, revoked.keyId);
  keys = {
    miner: (await keyOf({})).key,
    other: (await keyOf({})).key,
    poor: (await keyOf({ quota: { documentsPerMinute: 3, dumpsAtOnce: 1 } })).key,
    admin: (await keyOf({ role: 'admin' })).key,
    packager: (await keyOf({ role: 'packager' })).key,
    shared: PACKAGER_KEY,
    expired: (await keyOf({ expires: new Date(0) })).key,
    revoked: revoked.key,
  };
  await database.close();
  await furnish();
});
afterAll(async () => {
  agent.destroy();
  if (server.running()) await server.stop();
  await broker.stop();
  folder.remove();
});

/** Something to find: two collections, docsets of two miners, a dump. */
async function furnish(): Promise<void> {
  const as = (key: string | undefined, method: string, target: string, body?: string, type = 'application/json') =>
    send({
      operationId: undefined,
      method,
      target,
      headers: { 'X-API-Key': String(key), ...(body === undefined ? {} : { 'Content-Type': type }) },
      body: body === undefined ? undefined : Buffer.from(body),
    });
  const documents = ['a', 'b', 'c'].map((ref, index) => ({
    ref,
    metadata: { title: `apple ${ref}`, creator: 'Ada', date: String(1850 + index), year: 1850 + index, tags: ['x'] },
    files: { txt: { text: `apple and pear, civil war and peace ${ref}` }, pdf: { base64: 'AAAA' } },
  }));
  for (const id of ['c', 'd']) {
    await as(keys['admin'], 'POST', '/api/collections', JSON.stringify({ id, name: id }));
    await as(keys['admin'], 'POST', `/api/collections/${id}/documents`, ndjson(documents), 'application/x-ndjson');
  }
  const owners = ['miner', 'admin', 'miner', 'admin', 'other', 'poor'];
  for (let docset = 0; docset < 36; docset += 1) {
    const name = String(owners[docset % owners.length]);
    const made = await as(keys[name], 'POST', '/api/docsets', JSON.stringify({ collection: 'c', query: 'apple' }));
    expect(made.status).toBe(201);
  }
  expect((await as(keys['miner'], 'POST', '/api/docsets/1/dump?fmt=txt')).status).toBe(202);
}

interface Answer {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  body: Buffer;
}

function send({ method, target, headers: given, body }: FuzzRequest): Promise<Answer> {
  // Where the client is to expect a 100, Node would send a body whose length nobody knows.
  const headers = body === undefined ? given : { ...given, 'Content-Length': String(body.length) };
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    const request = httpRequest({ agent, port, host: '127.0.0.1', method, path: target, headers }, (response) => {
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks) }),
      );
      response.on('error', reject);
    });
    request.on('error', reject);
    request.end(body);
  });
}

test(`${REQUESTS} requests (FUZZ_SEED=${SEED}) are all answered as described, and tell no secret`, async () => {
  const check = checker();
  const statuses: Record<string, number> = {};
  const faults: string[] = [];
  // Made in portions: a few thousand generated trees at a time are enough in memory.
  for (let done = 0; done < REQUESTS; done += 1_000) {
    const portion = fc.sample(requests(keys), { numRuns: Math.min(1_000, REQUESTS - done), seed: SEED + done });
    // While they were made nobody read what came, such as the end of a connection that was idle for too long.
    agent.destroy();
    await pMap(
      portion,
      async (request) => {
        const answer = await send(request).catch((error: unknown) => String(error));
        const said = typeof answer === 'string' ? [answer] : check(request, answer);
        if (typeof answer !== 'string') statuses[answer.status] = (statuses[answer.status] ?? 0) + 1;
        if (said.length > 0) faults.push(describeFault(request, answer, said));
      },
      { concurrency: AT_ONCE },
    );
  }
  process.stdout.write(`FUZZ_SEED=${SEED}: ${JSON.stringify(statuses)}\n`);
  const log = server.log();
  const errors = log.split('\n').filter((line) => line.includes('"level":50'));
  for (const line of errors.slice(0, 10)) process.stdout.write(`${line.slice(0, 2_000)}\n`);
  expect(faults.length === 0 ? '' : `${faults.length} faults:\n${faults.slice(0, 10).join('\n')}`).toBe('');
  expect(errors).toEqual([]);
  for (const [name, key] of Object.entries(keys)) expect([name, log.includes(secretOf(key))]).toEqual([name, false]);
  expect(log).not.toMatch(TRACE);
  expect(
    (await send({ operationId: undefined, method: 'GET', target: '/healthz', headers: {}, body: undefined })).status,
  ).toBe(200);
}, 600_000);

/** Of a key of ours the id may be known; of another, nothing. */
const secretOf = (key: string): string => (key.startsWith('adit_') ? key.slice(14) : key);

const TRACE = /node_modules|\n {2,}at |\\n {2,}at |at \w+ \(file:/;

/** @returns what is wrong with an answer to a request */
function checker(): (request: FuzzRequest, answer: Answer) => string[] {
  const ajv = new Ajv2020({ strict: false, allErrors: true });
  ajvFormats.default(ajv);
  ajv.addSchema(contract, 'contract');
  const validate = (pointer: string, value: unknown): string[] => {
    const check = ajv.getSchema(pointer) ?? ajv.compile({ $ref: pointer });
    return check(value) === true ? [] : [`does not fit ${pointer}: ${ajv.errorsText(check.errors)}`];
  };
  return (request, answer) => {
    const { status, headers, body } = answer;
    const text = body.toString('latin1');
    const faults: string[] = [];
    if (status >= 500) faults.push('a fault of the server');
    if (TRACE.test(text)) faults.push('shows a trace');
    const shown = text + JSON.stringify(headers);
    for (const [name, key] of Object.entries(keys))
      if (shown.includes(secretOf(key))) faults.push(`shows the key ${name}`);
    const mediaType = String(headers['content-type'] ?? '').split(';')[0] ?? '';
    const operation = operations.find(
      ({ operationId, method }) => operationId === request.operationId && method === request.method.toLowerCase(),
    );
    if (mediaType === 'application/problem+json' && request.method !== 'HEAD') {
      const problem = JSON.parse(body.toString()) as { status: number };
      faults.push(...validate('contract#/components/schemas/Problem', problem));
      if (problem.status !== status) faults.push('the status in the problem is another');
    } else if (status >= 400 && request.method !== 'HEAD' && status !== 431) {
      faults.push('an error that is no problem document');
    }
    if (operation === undefined || faults.length > 0) return faults;
    const response = operation.responses[status];
    // A path that was made to lead elsewhere is answered by what is there.
    if (response === undefined) return isElsewhere(answer) ? [] : [`status ${status} is not described`];
    if (body.length === 0) return [];
    const content = response.content ?? {};
    const media = content[mediaType] ?? content['*/*'];
    if (media === undefined) return [`media type ${mediaType} is not described for ${status}`];
    if (isElsewhere(answer)) return [];
    if (!/[/+]json$/.test(mediaType) || content[mediaType]?.schema === undefined) return [];
    return validateBody(ajv, `${operation.operationId} ${status}`, media.schema, body);
  };
}

/** No operation was reached, but what is beside them. */
function isElsewhere({ status, body }: Answer): boolean {
  if (status === 301 || status === 302) return true;
  return status >= 400 && /"\/problems\/(path-unknown|method-not-allowed)"/.test(body.toString('latin1'));
}

function validateBody(ajv: Ajv2020, name: string, schema: object | undefined, body: Buffer): string[] {
  const id = `body ${name}`.replaceAll(' ', '-');
  if (ajv.getSchema(id) === undefined) {
    const within = JSON.stringify(schema).replaceAll('"#/', '"contract#/');
    ajv.addSchema(JSON.parse(within) as object, id);
  }
  const check = ajv.getSchema(id);
  return check?.(JSON.parse(body.toString())) === true
    ? []
    : [`the body does not fit: ${ajv.errorsText(check?.errors)}`];
}

function describeFault(request: FuzzRequest, answer: Answer | string, faults: string[]): string {
  const sent = {
    ...request,
    body: request.body?.toString('latin1').slice(0, 500),
    target: request.target.slice(0, 300),
  };
  const got = typeof answer === 'string' ? answer : `${answer.status} ${answer.body.toString('latin1').slice(0, 400)}`;
  return `${faults.join('; ')}\n  sent ${JSON.stringify(sent)}\n  got ${got}`;
}
