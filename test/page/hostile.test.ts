/** Strings of documents, of the operator and of miners that attack the page: each is shown as it is, and none does anything. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Browser } from 'playwright-core';
import { startFreshApiServer, type FreshApiServer } from '../api-server/fresh-api-server.js';
import { describeOn, startChromium } from '../servers/index.js';
import { HOSTILE, fillHostile } from './sample.js';
import { LONGEST, buildPage, visit } from './visit.js';

describeOn('chromium', 'hostile strings', () => {
  let server: FreshApiServer;
  let browser: Browser;
  beforeAll(async () => {
    await buildPage();
    [server, browser] = await Promise.all([startFreshApiServer(), startChromium()]);
    await fillHostile(server);
  }, LONGEST);
  afterAll(async () => {
    await browser.close();
    await server.stop();
  });

  /** What no text may have become. */
  const planted =
    "document.querySelectorAll('main img, main svg:not(.bars), main iframe, main script, main b, main em, [onerror], [onload]').length";
  const outside = "[...document.links].filter((link) => !link.href.startsWith(location.origin + '/')).length";

  test(
    'are shown as they are in a search, in its facets and highlights, and in a document',
    async () => {
      const key = await server.keyOf(HOSTILE[0]);
      const { page, faults, close } = await visit(browser, server.url, '/', {
        key,
        // All rows are on the screen.
        viewport: { width: 1280, height: 4_000 },
      });
      await page.locator('.whoami', { hasText: HOSTILE[0] }).waitFor();
      await page.getByRole('link', { name: HOSTILE[0], exact: true }).click();
      await page.getByLabel('Search the texts').fill('needle');
      await page.locator('mark').first().waitFor();
      const more = page.getByRole('button', { name: /^More of/ });
      await more.first().waitFor();
      // A button goes when it was pressed.
      for (let left = await more.count(); left > 0; left = await more.count()) await more.first().click();
      for (const text of HOSTILE) {
        await page.locator('.row-title').getByText(text, { exact: true }).first().waitFor({ state: 'attached' });
        await page.locator('.value-name').getByText(text, { exact: true }).first().waitFor({ state: 'attached' });
      }
      // What is marked in a text is the word, and not what the text says is marked.
      expect(new Set(await page.locator('mark').allInnerTexts())).toEqual(new Set(['needle']));
      expect(await page.evaluate(`[${planted}, ${outside}]`)).toEqual([0, 0]);
      await page.locator('.value', { hasText: 'javascript:pwned' }).first().click();
      await page.locator('#found', { hasText: 'javascript:pwned' }).waitFor();
      await page.locator('.row-title').first().click();
      await page.getByRole('heading', { name: 'Metadata' }).waitFor();
      await page.getByRole('button', { name: /^Read the text/ }).click();
      await page.getByRole('group', { name: 'What it says' }).getByText('<em>needle</em>').waitFor();
      expect(await page.evaluate(`[${planted}, ${outside}]`)).toEqual([0, 0]);
      expect(await page.evaluate('document.documentElement.scrollWidth > innerWidth')).toBe(false);
      expect(await faults()).toEqual([]);
      await close();
    },
    LONGEST,
  );

  test(
    'are shown as they are in the names and descriptions of docsets, and in a URL',
    async () => {
      const key = await server.keyOf('Eve');
      for (const text of HOSTILE) {
        const docset = { name: text.slice(0, 200), description: text, collection: 'hostile', query: 'needle' };
        await server.as(key).post('/api/docsets').send(docset).expect(201);
      }
      const { page, faults, close } = await visit(browser, server.url, '/docsets', { key });
      for (const text of HOSTILE) await page.getByRole('link', { name: text.slice(0, 200), exact: true }).waitFor();
      for (const box of (await page.getByRole('checkbox').all()).slice(0, 3)) await box.check();
      await page.getByRole('radio', { name: /not in the others/ }).check();
      await page.getByRole('radio', { name: /^All of their/ }).check();
      await page.getByRole('button', { name: 'Make it' }).click();
      await page.getByRole('link', { name: 'Ask for a dump' }).waitFor();
      await page.getByText('How it was made').click();
      await page.getByRole('button', { name: 'Show them' }).click();
      await page.locator('.members li').first().waitFor();
      expect(await page.evaluate(`[${planted}, ${outside}]`)).toEqual([0, 0]);
      await page.goto(
        `${server.url}/collections/hostile?q=${encodeURIComponent(HOSTILE[0])}&in.subject=${encodeURIComponent(HOSTILE[2])}&from=<b>&sort=javascript:pwned`,
      );
      await page.locator('#found').waitFor();
      await page.getByText('The query, for programs').click();
      for (const language of ['curl', 'Python', 'R', 'JSON']) {
        await page.getByRole('button', { name: language, exact: true }).click();
        expect(await page.locator('.programs pre').innerText()).toContain('onerror=pwned');
      }
      await page.goto(`${server.url}/collections/hostile?q=${encodeURIComponent(HOSTILE[8])}`);
      await page.getByText('The query, for programs').click();
      // In a program a mark that turns the direction round is spelled out.
      expect(await page.locator('.programs pre').innerText()).toContain('\\u202e');
      expect(await page.evaluate(`[${planted}, ${outside}]`)).toEqual([0, 0]);
      expect(await faults()).toEqual([]);
      await close();
    },
    LONGEST,
  );
});
