/** Pictures of the page in each of its states, light and dark, wide and narrow, into the folder `screenshots`: `npm run screenshots [state…]`. */
import { mkdir } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { Page } from 'playwright-core';
import { startFreshApiServer } from '../api-server/fresh-api-server.js';
import { startChromium } from '../servers/chromium.js';
import { fillHostile, fillSample } from './sample.js';
import { visit } from './visit.js';

const FOLDER = fileURLToPath(new URL('../../screenshots/', import.meta.url));

const LOOKS = {
  light: { colorScheme: 'light', viewport: { width: 1280, height: 860 } },
  dark: { colorScheme: 'dark', viewport: { width: 1280, height: 860 } },
  narrow: { colorScheme: 'light', viewport: { width: 380, height: 760 } },
} as const;

interface State {
  path: string;
  /** Without a key. */
  signedOut?: boolean;
  /** What is done before the picture is taken. */
  prepare?: (page: Page) => Promise<void>;
}

const settled = (page: Page): Promise<unknown> => page.waitForLoadState('networkidle');

const STATES: Record<string, State> = {
  'sign-in': { path: '/', signedOut: true },
  'sign-in-wrong-key': {
    path: '/',
    signedOut: true,
    prepare: async (page) => {
      await page.getByLabel('Your key').fill('not-a-key');
      await page.keyboard.press('Enter');
      await page.getByRole('alert').waitFor();
    },
  },
  collections: { path: '/' },
  explore: { path: '/collections/sotu' },
  'explore-search': { path: '/collections/sotu?q=railroad+canal&in.party=Republican&in.party=Whig&from=1850&to=1900' },
  'explore-query': {
    path: '/collections/sotu?q=%22civil+rights%22&from=1945',
    prepare: async (page) => {
      await page.getByText('The query, for programs').click();
      await page.getByRole('button', { name: 'Python', exact: true }).click();
    },
  },
  'explore-nothing': { path: '/collections/sotu?q=xylophone' },
  'explore-narrowing': {
    path: '/collections/sotu?q=war',
    prepare: async (page) => {
      const toggle = page.getByRole('button', { name: 'Years and fields' });
      if (await toggle.isVisible()) await toggle.click();
    },
  },
  'explore-hostile': { path: '/collections/hostile?q=needle' },
  document: {
    path: '/documents/1',
    prepare: async (page) => {
      await page.getByRole('button', { name: /^Read the text/ }).click();
      await page.getByRole('group', { name: 'What it says' }).waitFor();
    },
  },
  'new-docset': {
    path: '/collections/sotu?q=railroad',
    prepare: async (page) => {
      await page.getByRole('button', { name: /^Make a docset/ }).click();
      await page.getByRole('dialog').waitFor();
    },
  },
  docsets: { path: '/docsets' },
  'docsets-combining': {
    path: '/docsets',
    prepare: async (page) => {
      for (const name of ['Railroads', 'Canals']) await page.getByRole('checkbox', { name: `Choose ${name}` }).check();
      await page.getByRole('radio', { name: /not in the others/ }).check();
    },
  },
  docset: { path: '/docsets/1' },
  'docset-not-there': { path: '/docsets/999' },
  nowhere: { path: '/nowhere' },
};

const wanted = process.argv.slice(2);
const server = await startFreshApiServer();
const browser = await startChromium();
try {
  await mkdir(FOLDER, { recursive: true });
  await fillSample(server);
  await fillHostile(server);
  const key = await server.keyOf('Ada Lovelace');
  for (const [name, query] of [
    ['Railroads', 'railroad'],
    ['Canals', 'canal'],
    ['Whigs on war', { bool: { must: ['war'], filter: [{ term: { party: 'Whig' } }] } }],
  ]) {
    await server.as(key).post('/api/docsets').send({ name, collection: 'sotu', query }).expect(201);
  }
  for (const [state, { path, signedOut = false, prepare }] of Object.entries(STATES)) {
    if (wanted.length > 0 && !wanted.includes(state)) continue;
    for (const [look, options] of Object.entries(LOOKS)) {
      const { page, faults, close } = await visit(browser, server.url, path, {
        ...options,
        ...(signedOut ? {} : { key }),
      });
      await page.getByRole('heading', { level: 1 }).waitFor();
      await settled(page);
      await prepare?.(page);
      await settled(page);
      await page.screenshot({ path: `${FOLDER}${state}-${look}.png` });
      for (const fault of await faults()) console.log(`${state} ${look}: ${fault}`);
      await close();
    }
    console.log(`${FOLDER}${state}-*.png`);
  }
} finally {
  await browser.close();
  await server.stop();
}
