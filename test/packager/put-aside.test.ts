/** A request of which packagers have died. */
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { DEAD_LETTERS } from '../../queue-config/index.js';
import { waitUntil } from '../servers/wait-until.js';
import { startDocsetServer, type DocsetServer } from './docset-server.js';
import { filesUnder, openStage, type Stage } from './packager-stage.js';

const ROOM = 20;
const MARKS = ['one', 'two', 'three'].map((name) => `dumps/d1/1/started-${name}.json`);

let server: DocsetServer;
let stage: Stage;
beforeEach(async () => {
  server = await startDocsetServer([{ ref: 'a', files: { txt: { content: 'text' } } }]);
  stage = await openStage(server.url, { limits: { queueDepth: ROOM, maxRedeliveries: 1_000 } });
});
afterEach(async () => {
  await stage.close();
  await server.close();
});

test('keeps the marks of those who died until there is room among the dead letters, and is put aside then', async () => {
  for (const mark of MARKS) {
    await mkdir(dirname(join(stage.archives, mark)), { recursive: true });
    await writeFile(join(stage.archives, mark), JSON.stringify({ packager: 'the late' }));
  }
  for (let number = 0; number < ROOM; number++) {
    await stage.broker.publish({ destination: DEAD_LETTERS, headers: {}, body: String(number), persistent: true });
  }
  await stage.start();
  await stage.request(server.docsetUrl('txt'), 'd1', 2);
  const accepted = await stage.eventsUntil('Accepted');
  await waitUntil('it was given back, and has come again', async () => {
    accepted.push(...(await stage.eventsUntil('Accepted')));
    return accepted.filter(({ type }) => type === 'Accepted').length > 1;
  });
  expect(await filesUnder(stage.archives)).toEqual([...MARKS].sort());
  await stage.drain(DEAD_LETTERS);
  const events = await stage.eventsUntil('Failed');
  expect(events.at(-1)).toMatchObject({ code: 'packager-killed' });
  const [letter] = await stage.drain(DEAD_LETTERS);
  expect(letter?.body).toContain('4 packagers began it and were not heard of again, among them the late');
  await waitUntil('the request is acknowledged', () => stage.requests() === 0);
  expect(await filesUnder(stage.archives)).toEqual([]);
});
