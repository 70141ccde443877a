/** What axe finds wrong with each view, light and dark, on narrow screens and at twice the size: nothing. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Browser, Page } from 'playwright-core';
import { startFreshApiServer, type FreshApiServer } from '../api-server/fresh-api-server.js';
import { describeOn, startChromium } from '../servers/index.js';
import { fillSample } from './sample.js';
import { LONGEST, buildPage, visit } from './visit.js';

const LOOKS = {
  light: { colorScheme: 'light' },
  dark: { colorScheme: 'dark' },
  'narrow, without motion': { viewport: { width: 320, height: 640 }, reducedMotion: 'reduce' },
  // What a screen of 1280 pixels has left at 200 %.
  'at 200 %': { viewport: { width: 640, height: 450 }, deviceScaleFactor: 2 },
} as const;

const VIEWS: Record<string, { path: string; prepare?: (page: Page) => Promise<void> }> = {
  'the collections': { path: '/' },
  'a search': {
    path: '/collections/sotu?q=railroad&in.party=Whig&to=1900',
    prepare: async (page) => {
      await page.locator('mark').first().waitFor();
      await page.getByText('The query, for programs').click();
      const toggle = page.getByRole('button', { name: 'Years and fields' });
      if (await toggle.isVisible()) await toggle.click();
      await page.getByRole('checkbox', { name: /^Whig \d/ }).waitFor();
    },
  },
  'a document': { path: '/documents/1', prepare: (page) => page.getByRole('heading', { name: 'Files' }).waitFor() },
  'making a docset': {
    path: '/collections/sotu?q=railroad',
    prepare: async (page) => {
      await page.getByRole('button', { name: /^Make a docset/ }).click();
      await page.getByRole('dialog').waitFor();
    },
  },
  'combining docsets': {
    path: '/docsets',
    prepare: async (page) => {
      for (const name of ['Railroads', 'Canals']) await page.getByRole('checkbox', { name: `Choose ${name}` }).check();
      await page.getByRole('radio', { name: /not in the others/ }).check();
    },
  },
  'a docset': { path: '/docsets/1', prepare: (page) => page.getByRole('link', { name: 'Ask for a dump' }).waitFor() },
  'a place where nothing is': { path: '/nowhere' },
};

describeOn('chromium', 'the page', () => {
  let server: FreshApiServer;
  let browser: Browser;
  let key: string;
  beforeAll(async () => {
    await buildPage();
    [server, browser] = await Promise.all([startFreshApiServer(), startChromium()]);
    await fillSample(server);
    key = await server.keyOf('Ada');
    for (const [name, query] of Object.entries({ Railroads: 'railroad', Canals: 'canal' })) {
      await server.as(key).post('/api/docsets').send({ name, collection: 'sotu', query }).expect(201);
    }
  }, LONGEST);
  afterAll(async () => {
    await browser.close();
    await server.stop();
  });

  test.each(Object.entries(LOOKS))(
    'is accessible: %s',
    async (_look, options) => {
      const { page, axe, faults, close } = await visit(browser, server.url, '/', { ...options, key });
      for (const [view, { path, prepare }] of Object.entries(VIEWS)) {
        await page.goto(`${server.url}${path}`);
        await page.getByRole('heading', { level: 1 }).waitFor();
        await prepare?.(page);
        expect({ view, wrong: await axe() }).toEqual({ view, wrong: [] });
        // Nothing has to be scrolled sideways.
        const isTooWide = await page.evaluate<boolean>('document.documentElement.scrollWidth > innerWidth');
        expect({ view, isTooWide }).toEqual({ view, isTooWide: false });
      }
      expect(await faults()).toEqual([]);
      await close();
    },
    300_000,
  );
});
