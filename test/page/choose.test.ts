/** Choosing, in a real browser over the sample: docsets from searches and from docsets, and what a dump of them would be. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import type { Browser, Page } from 'playwright-core';
import { startFreshApiServer, type FreshApiServer } from '../api-server/fresh-api-server.js';
import { describeOn, startChromium } from '../servers/index.js';
import { fillSample } from './sample.js';
import { LONGEST, buildPage, visit, type Visit } from './visit.js';

describeOn('chromium', 'choosing', () => {
  let server: FreshApiServer;
  let browser: Browser;
  let key: string;
  let current: Visit;
  let page: Page;
  beforeAll(async () => {
    await buildPage();
    [server, browser] = await Promise.all([startFreshApiServer(), startChromium()]);
    await fillSample(server);
    key = await server.keyOf('Ada');
  }, LONGEST);
  afterAll(async () => {
    await browser.close();
    await server.stop();
  });
  beforeEach(async () => {
    current = await visit(browser, server.url, '/collections/sotu?q=railroad&in.party=Republican', {
      key,
      expected: [/status of 4(00|22)/],
    });
    ({ page } = current);
  });
  afterEach(async () => {
    expect(await current.faults()).toEqual([]);
    await current.close();
  });

  const docsetNow = async (): Promise<Record<string, unknown>> => {
    const id = /\/docsets\/(\w+)$/.exec(page.url())?.[1] ?? '';
    return (await server.as(key).get(`/api/docsets/${id}`).expect(200)).body as Record<string, unknown>;
  };

  test(
    'a search becomes a docset with exactly its documents, and an estimate says what a dump would be',
    async () => {
      await page.getByRole('button', { name: /^Make a docset/ }).click();
      expect(await page.getByLabel('Name').inputValue()).toBe('“railroad”, party Republican');
      await page.getByLabel('Name').fill('Republicans on railroads');
      await page.getByLabel('Description').fill('For the seminar.');
      await page.getByRole('button', { name: 'Make it' }).click();
      await page.getByRole('heading', { level: 1, name: 'Republicans on railroads' }).waitFor();
      const query = { bool: { must: ['railroad'], filter: [{ term: { party: 'Republican' } }] } };
      const docset = await docsetNow();
      expect(docset).toMatchObject({ description: 'For the seminar.', query });
      const found = await server.as(key).post('/api/collections/sotu/search').send({ query, limit: 0 }).expect(200);
      expect(docset['documents']).toBe((found.body as { hits: number }).hits);

      await page.getByRole('link', { name: 'Ask for a dump' }).click();
      const told = page.locator('.estimate');
      const estimate = await server
        .as(key)
        .get(`/api/docsets/${String(docset['id'])}/dump/estimate?fmt=meta,txt`)
        .expect(200);
      const { documents } = estimate.body as { documents: number };
      await told.filter({ hasText: new RegExp(`^${documents} documents, about [\\d.]+ MB`) }).waitFor();
      await page.getByRole('checkbox', { name: /^Text/ }).uncheck();
      await told.filter({ hasText: /about [\d.]+ kB/ }).waitFor();
      await page.getByRole('checkbox', { name: /^Metadata/ }).uncheck();
      await page.getByText('Choose at least one format.').waitFor();
    },
    LONGEST,
  );

  test(
    'docsets are united, intersected and subtracted, and what cannot be done is told',
    async () => {
      const make = async (name: string, words: string): Promise<string> =>
        (
          (await server.as(key).post('/api/docsets').send({ name, collection: 'sotu', query: words }).expect(201))
            .body as { id: string }
        ).id;
      const [war, peace] = [await make('War', 'slavery'), await make('Peace', 'treaty')];
      for (const [choice, way] of [
        [/^All of their/, 'union'],
        [/in each of them/, 'intersect'],
        [/not in the others/, 'minus'],
      ] as const) {
        await page.goto(`${server.url}/docsets`);
        await page.getByRole('checkbox', { name: 'Choose Peace', exact: true }).check();
        await page.getByRole('checkbox', { name: 'Choose War', exact: true }).check();
        await page.getByRole('radio', { name: choice }).check();
        if (way === 'minus') await page.getByRole('radio', { name: /^War/ }).check();
        await page.getByRole('button', { name: 'Make it' }).click();
        await page.getByRole('link', { name: 'Ask for a dump' }).waitFor();
        const docset = await docsetNow();
        const wish = { [way]: way === 'minus' ? [war, peace] : [peace, war] };
        const same = await server.as(key).post('/api/docsets').send(wish).expect(201);
        expect(docset['documents']).toBe((same.body as { documents: number }).documents);
      }
      // All that this one has is in the other, too: nothing would be left, and a docset is never empty.
      await make('Both', 'slavery treaty');
      await page.goto(`${server.url}/docsets`);
      await page.getByRole('checkbox', { name: 'Choose Both', exact: true }).check();
      await page.getByRole('checkbox', { name: 'Choose War', exact: true }).check();
      await page.getByRole('radio', { name: /not in the others/ }).check();
      await page.getByRole('button', { name: 'Make it' }).click();
      await page.getByRole('alert').getByRole('link', { name: 'What this means' }).waitFor();
    },
    LONGEST,
  );

  test(
    'a docset is renamed, shows its documents, and is deleted after asking',
    async () => {
      await server.as(key).post('/api/docsets').send({ name: 'Old', collection: 'sotu', query: 'canal' }).expect(201);
      await page.goto(`${server.url}/docsets`);
      await page.getByRole('link', { name: 'Old', exact: true }).click();
      await page.getByRole('button', { name: 'Show them' }).click();
      await page.locator('.members a').first().waitFor();
      await page.getByRole('button', { name: 'Change the name' }).click();
      await page.getByRole('textbox', { name: 'Name' }).fill('Canals');
      await page.getByRole('button', { name: 'Change', exact: true }).click();
      await page.getByRole('heading', { level: 1, name: 'Canals' }).waitFor();
      await page.getByRole('button', { name: 'Delete', exact: true }).click();
      await page.getByRole('dialog').waitFor();
      await page.keyboard.press('Escape');
      await page.getByRole('dialog').waitFor({ state: 'detached' });
      await page.getByRole('button', { name: 'Delete', exact: true }).click();
      await page.getByRole('button', { name: 'Delete it' }).click();
      await page.getByRole('heading', { level: 1, name: 'Docsets' }).waitFor();
      await page.getByRole('link', { name: 'Canals', exact: true }).waitFor({ state: 'detached' });
    },
    LONGEST,
  );
});
