/** Dumps in the page, in a real browser: asked for, watched while everything goes wrong, and taken. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Browser, Locator, Page } from 'playwright-core';
import { verifyBag } from '../../../cli/miner/verify-bag.js';
import { ingestSample } from '../../../cli/sample/ingest-sample.js';
import { visit, type Visit, type VisitOptions } from '../../page/visit.js';
import { describeOn, startChromium, waitUntil } from '../../servers/index.js';
import { holdDump } from '../held-dump.js';
import { makeKey, makeMiner, makeService, type Miner, type Service } from '../service.js';
import type { Stage } from '../stage.js';
import { expectTaken, studyByKeyboard, studyByMouse } from './page-study.js';

/** `SCREENSHOTS=<folder>` keeps a picture of each state there. */
async function shoot(page: Page, name: string): Promise<void> {
  const folder = process.env['SCREENSHOTS'];
  if (folder !== undefined) await page.screenshot({ path: join(folder, `${name}.png`), fullPage: true });
}

/** That it reads well: nothing that axe finds, and nothing that has to be scrolled sideways. */
async function expectReadable(visited: Visit): Promise<void> {
  expect(await visited.axe()).toEqual([]);
  const [content, window] = await visited.page.evaluate<[number, number]>(
    '[document.documentElement.scrollWidth, document.documentElement.clientWidth]',
  );
  expect(content).toBeLessThanOrEqual(window);
}

export function pageOfDumps(stage: () => Stage, name: Stage['name']): void {
  describeOn('chromium', 'the page', () => {
    let browser: Browser;
    beforeAll(async () => {
      browser = await startChromium();
    });
    afterAll(() => browser.close());

    // One after the other: packagers of two services would take each other's requests.
    describe('of a service in good order', () => dumpsAreTaken(stage, name, () => browser));
    describe('of a service in trouble', () => dumpsAreWatched(stage, name, () => browser));
  });
}

/** The archive comes from the store, which has an address of its own. */
const FROM_THE_STORE = /^request: http:\/\/127\.0\.0\.1:\d+\/[^ ]*X-Amz-Signature=/;

const pathOf = (docset: string): string => docset.replace(/^\/api/, '');
const download = (page: Page): Locator => page.getByRole('button', { name: /^Download docset-/ });

function dumpsAreTaken(stage: () => Stage, name: Stage['name'], browser: () => Browser): void {
  let service: Service;
  let url: string;
  let key: string;
  let miner: Miner;
  beforeAll(async () => {
    service = await makeService(stage());
    ({ url } = await service.apiServer());
    await service.packager();
    await ingestSample({ url, key: await makeKey(service, 'admin') });
    key = await makeKey(service);
    miner = makeMiner(url, key);
  }, 180_000);
  afterAll(() => service.close());

  const open = (path: string, options: VisitOptions = {}): Promise<Visit> =>
    visit(browser(), url, path, { key, expected: [FROM_THE_STORE], ...options });

  test('a study from the key to a verified file on disk, with the keyboard alone', async () => {
    const visited = await visit(browser(), url, '/', { expected: [FROM_THE_STORE] });
    const download = await studyByKeyboard(visited.page, key);
    await expectReadable(visited);
    await expectTaken(visited.page, download, service.file(download.suggestedFilename()));
    expect(await visited.faults()).toEqual([]);
    await visited.close();
  }, 180_000);

  test('a study from the collections to a verified file on disk, with the mouse alone', async () => {
    const visited = await open('/');
    const download = await studyByMouse(visited.page);
    await expectTaken(visited.page, download, service.file(download.suggestedFilename()));
    expect(await visited.faults()).toEqual([]);
    await visited.close();
  }, 180_000);

  test('with the mouse, at 200 %, in the dark; and “Your dumps” finds it again in another browser', async () => {
    const docset = await miner.docset('sotu', { term: { year: 1901 } });
    const zoomed = { viewport: { width: 640, height: 450 }, deviceScaleFactor: 2, colorScheme: 'dark' } as const;
    const visited = await open(`${pathOf(docset)}/dump`, zoomed);
    await visited.page.getByRole('checkbox', { name: /Metadata/ }).uncheck();
    await visited.page.getByRole('radio', { name: /Gzipped tar/ }).check();
    await visited.page.getByRole('button', { name: 'Ask for the dump' }).click();
    await download(visited.page).waitFor();
    await visited.page.getByText('How to check it').click();
    await visited.page.getByText('How it was made').click();
    for (const form of ['BibTeX', 'RIS']) {
      await visited.page.getByRole('radio', { name: form }).check();
      await visited.page.getByText(form === 'RIS' ? 'TY - DATA' : '@misc{adit-docset-').waitFor();
    }
    const [saved] = await Promise.all([
      visited.page.waitForEvent('download'),
      visited.page.getByRole('button', { name: 'Save the citation as RIS' }).click(),
    ]);
    expect(saved.suggestedFilename()).toMatch(/^docset-\d+\.ris$/);
    await expectReadable(visited);
    await shoot(visited.page, `${name}-ready-200-dark`);
    expect(await visited.faults()).toEqual([]);
    await visited.close();
    const again = await open('/dumps', { viewport: { width: 390, height: 800 } });
    await again.page.getByText('Ready').first().waitFor();
    await expectReadable(again);
    await again.page.getByRole('link', { name: 'all' }).first().click();
    await again.page.getByRole('heading', { name: 'Dump of all' }).waitFor();
    await download(again.page).waitFor();
    expect(again.page.url()).toBe(`${url}${pathOf(docset)}/dump?fmt=txt&archive=tar.gz`);
    expect(await again.faults()).toEqual([]);
    await again.close();
  }, 180_000);

  if (name === 'embedded') {
    test('an archive that is gone before its time is told as gone, and is made again', async () => {
      const docset = await miner.docset('sotu', { term: { year: 1903 } });
      const first = await miner.post(`${docset}/dump?fmt=txt`);
      await miner.pollToEnd(`${docset}/dump?fmt=txt`);
      const visited = await open(`${pathOf(docset)}/dump?fmt=txt`, { expected: [/status of 410/] });
      const { page } = visited;
      await download(page).waitFor();
      await rm(join(service.stores.env['DATA_DIR'] ?? '', 'archives/dumps', first.body.id), { recursive: true });
      await download(page).click();
      await page.getByRole('alert').getByText('The archive is gone').waitFor();
      await expectReadable(visited);
      await shoot(page, 'gone');
      await page.getByRole('button', { name: 'Ask for it again' }).click();
      await page.getByRole('alert').waitFor({ state: 'detached' });
      const [got] = await Promise.all([page.waitForEvent('download'), download(page).click()]);
      const file = service.file('again.zip');
      await got.saveAs(file);
      expect((await verifyBag(file)).payload).toEqual({ txt: 1 });
      expect(await visited.faults()).toEqual([]);
      await visited.close();
    }, 180_000);
  }
}

function dumpsAreWatched(stage: () => Stage, name: Stage['name'], browser: () => Browser): void {
  test('a dump is watched while the tab is hidden, the server restarts and the packager dies', async () => {
    const dump = await holdDump(stage());
    const path = pathOf(dump.path);
    const visited = await visit(browser(), dump.api.url, path, {
      key: dump.minerKey,
      expected: [FROM_THE_STORE, /Failed to load resource/],
    });
    const { page } = visited;
    try {
      const polls = countPolls(page);
      await page.getByText('A packager is making it.').waitFor();
      await expectReadable(visited);
      await shoot(page, `${name}-running`);
      await waitUntil('it was polled again', () => polls() > 1);
      await hide(page, true);
      // What was under way when the tab was hidden may still be answered.
      await page.waitForLoadState('networkidle');
      const before = polls();
      await sleep(5_000);
      expect(polls()).toBe(before);
      await hide(page, false);
      await waitUntil('it is polled again', () => polls() > before);
      await watchOperators(dump.api.url, await makeKey(dump.service, 'admin'));
      await cancelAnother(page, path);
      await dump.api.stop();
      await page.getByText('The service does not answer at the moment').waitFor();
      await expectReadable(visited);
      await shoot(page, `${name}-away`);
      await dump.packager.kill();
      await dump.service.apiServer({ PORT: new URL(dump.api.url).port, DUMP_LEASE: '10s' });
      await page.getByText('The service does not answer at the moment').waitFor({ state: 'detached' });
      await page.getByText('attempt 2 of 3').waitFor();
      await expectReadable(visited);
      await shoot(page, `${name}-attempt`);
      await dump.anotherPackager();
      await download(page).waitFor();
      await page.getByText('How it was made').click();
      const [got] = await Promise.all([page.waitForEvent('download'), download(page).click()]);
      const file = dump.service.file('watched.zip');
      await got.saveAs(file);
      expect((await verifyBag(file)).payload).toEqual({ txt: dump.held.counts.requested });
      expect(await visited.faults()).toEqual([]);
    } finally {
      await visited.close();
      await dump.close();
    }
  }, 300_000);

  /** The packager has its hands full: what else is asked for waits, and is cancelled. */
  async function cancelAnother(watched: Page, path: string): Promise<void> {
    const page = await watched.context().newPage();
    await page.goto(new URL(path.replace('fmt=txt', 'fmt=meta'), watched.url()).href);
    await page.getByText('Nobody has asked for this dump yet.').waitFor();
    await page.getByRole('button', { name: 'Ask for it' }).click();
    await page.getByText('Waiting for a packager.').first().waitFor();
    await shoot(page, `${name}-waiting`);
    await page.getByRole('button', { name: 'Cancel the dump' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Cancel the dump' }).click();
    await page.getByText('This dump was cancelled.').waitFor();
    await shoot(page, `${name}-cancelled`);
    await page.close();
  }

  async function watchOperators(at: string, adminKey: string): Promise<void> {
    const visited = await visit(browser(), at, '/operators', { key: adminKey, expected: [/status of 503/] });
    const { page } = visited;
    await page.getByRole('link', { name: 'Operators' }).waitFor();
    await page.getByRole('heading', { name: 'Being made: 1' }).waitFor();
    await page.getByRole('button', { name: 'Refresh' }).click();
    if (name === 'embedded') await page.getByRole('cell', { name: '/queue/docsets/package', exact: true }).waitFor();
    else await page.getByText('Set BROKER_OPERATOR_PASSCODE for the api-server').waitFor();
    await expectReadable(visited);
    await shoot(page, `${name}-operators`);
    expect(await visited.faults()).toEqual([]);
    await visited.close();
  }
}

/** How often the page has asked how the dump is. */
function countPolls(page: Page): () => number {
  let polls = 0;
  page.on('request', (request) => {
    if (/\/api\/docsets\/[^/]+\/dump\?/.test(request.url()) && request.method() === 'GET') polls += 1;
  });
  return () => polls;
}

/** Tells the page what a browser tells one whose tab is put behind another: without a window, none ever is. */
const hide = (page: Page, hidden: boolean): Promise<unknown> =>
  page.evaluate(`
    Object.defineProperty(document, 'visibilityState', { configurable: true, get: () => ${hidden ? "'hidden'" : "'visible'"} });
    document.dispatchEvent(new Event('visibilitychange'));
  `);
