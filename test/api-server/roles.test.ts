/** Who may do what: every route of the application, as every kind of caller, on what is theirs and what is somebody else's. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { routeTable } from '../../api-server/http/app.js';
import { ROLES, type Role } from '../../api-server/miners/caller.js';
import { startEmbeddedBroker, type EmbeddedBroker } from '../../queue-config/embedded-broker/index.js';
import { examplesOf, operations, type Operation } from './contract-operations.js';
import { PACKAGER_KEY, fill, startFreshApiServer, type FreshApiServer } from './fresh-api-server.js';

let folder: string;
let broker: EmbeddedBroker;
let server: FreshApiServer;
let keys: Record<'miner' | 'stranger' | 'packager' | 'packager with a key of its own' | 'admin', string>;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'adit-test-'));
  broker = await startEmbeddedBroker({ folder: join(folder, 'broker'), port: 0 });
  const unlimited = { QUOTA_DOCUMENTS_PER_MINUTE: 'unlimited', QUOTA_DUMPS: 'unlimited', POLL_INTERVAL: 'off' };
  server = await startFreshApiServer(undefined, { BROKER_URL: broker.url, ...unlimited });
  // One to be changed by those who may, and one of which docsets are made.
  for (const id of ['c', 'd']) await fill(server, id, [{ ref: 'a', files: { txt: { text: 'apple' } } }]);
  keys = {
    miner: await server.keyOf('Ada'),
    stranger: await server.keyOf('Eve'),
    packager: PACKAGER_KEY,
    'packager with a key of its own': await server.keyOf('minecart', 'packager'),
    admin: await server.keyOf('Root', 'admin'),
  };
});
afterAll(async () => {
  await server.stop();
  await broker.stop();
  await rm(folder, { recursive: true, force: true });
});

const CALLERS: { name: keyof typeof keys; role: Role }[] = [
  { name: 'miner', role: 'miner' },
  { name: 'packager', role: 'packager' },
  { name: 'packager with a key of its own', role: 'packager' },
  { name: 'admin', role: 'admin' },
];

/** What belongs to whom, by the name of its path parameter: each makes one for the holder of a key, and tells its id. */
const OWNED: Record<string, (key: string) => Promise<string>> = {
  docset: async (key) => {
    const made = await server.as(key).post('/api/docsets').send({ collection: 'd', query: 'apple' }).expect(201);
    return (made.body as { id: string }).id;
  },
  watch: async (key) => {
    const made = await server.as(key).post('/api/collections/d/watch').send({ query: 'apple' }).expect(201);
    return (made.body as { id: string }).id;
  },
};

/** What belongs to nobody. */
const COMMON: Record<string, string> = { collection: 'c', document: '1', segment: '1', format: 'txt', ingest: '1' };

const asExpress = (path: string): string => path.replaceAll(/\{(\w+)\}/g, ':$1');

const pathParameters = ({ path }: Operation): string[] => [...path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => name);

test('the description has every route, and nothing else; and each says who may come in', () => {
  const routes = routeTable(server.parts);
  const ofRoutes = Object.fromEntries(routes.map(({ method, path, roles }) => [`${method} ${path}`, [...roles]]));
  const keyed = operations.filter(({ needsKey }) => needsKey);
  const described = Object.fromEntries(keyed.map(({ method, path, roles }) => [`${method} ${asExpress(path)}`, roles]));
  expect(described).toEqual(ofRoutes);
  expect(operations.filter(({ needsKey }) => !needsKey).map(({ path }) => path)).toEqual(['/archives']);
});

/** A request that fits the description, made of its examples. */
async function ask(operation: Operation, key: string | undefined, owner: string) {
  let path = operation.path;
  for (const name of pathParameters(operation)) {
    const value = OWNED[name] === undefined ? COMMON[name] : await OWNED[name](owner);
    if (value === undefined) throw new Error(`roles.test.ts has to know what the path parameter ${name} stands for`);
    path = path.replace(`{${name}}`, value);
  }
  const query = operation.parameters.filter((parameter) => parameter.in === 'query' && parameter.required === true);
  const search = new URLSearchParams(
    query.map(({ name, example = '1' }): [string, string] => [name, example]),
  ).toString();
  const request = server.as(key)[operation.method](`/api${path}${search === '' ? '' : `?${search}`}`);
  const [body] = Object.entries(operation.bodies);
  if (body === undefined) return request;
  const [mediaType, content] = body;
  const [example = { ref: 'a' }] = examplesOf(content);
  return request.set('Content-Type', mediaType).send(`${JSON.stringify(example)}\n`);
}

describe.each(operations.filter(({ needsKey }) => needsKey))('$method $path', (operation) => {
  const { roles = [] } = operation;
  const isOwned = pathParameters(operation).some((name) => OWNED[name] !== undefined);

  test('asks a stranger for a key', async () => {
    const response = await ask(operation, undefined, keys.miner);
    expect(response).toMatchObject({ status: 401, body: { type: '/problems/key-missing' } });
  });

  test.each(CALLERS)('to a $name on their own: comes in as the description says', async ({ name, role }) => {
    // A packager owns nothing: it is shown a miner's.
    const response = await ask(operation, keys[name], role === 'packager' ? keys.miner : keys[name]);
    if (roles.includes(role)) expect([401, 403]).not.toContain(response.status);
    else expect(response).toMatchObject({ status: 403, body: { type: '/problems/role-not-allowed' } });
  });

  if (isOwned) {
    test.each(ROLES.filter((role) => role !== 'packager'))('to a %s on what is somebody else’s: no', async (role) => {
      const before = await owned();
      const response = await ask(operation, keys[role], keys.stranger);
      const type = roles.includes(role)
        ? expect.stringMatching(/^\/problems\/not-your-/)
        : '/problems/role-not-allowed';
      expect(response).toMatchObject({ status: 403, body: { type } });
      // One more of what was made to be asked for, and nothing done to it.
      const [made = ''] = pathParameters(operation).filter((name) => OWNED[name] !== undefined);
      expect(await owned()).toEqual({ ...before, [made]: Number(before[made]) + 1 });
    });
  }
});

async function owned(): Promise<Record<string, number>> {
  const { knex } = server.parts;
  return {
    docset: (await knex('docsets').whereNull('deleted').where('revision', 1)).length,
    watch: (await knex('watches').where('since', '<', 1_000).whereNull('name')).length,
    dumps: (await knex('dumps')).length,
  };
}
