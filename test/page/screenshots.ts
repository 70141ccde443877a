/**
 * Pictures of the page in each of its states, light and dark, narrow and at twice the size, into the folder `screenshots`:
 * `npm run screenshots [state…]`, where a state may also be the beginning of one. Needs Chromium (test/servers).
 */
import { mkdir } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { Page } from 'playwright-core';
import { startFreshApiServer } from '../api-server/fresh-api-server.js';
import { startChromium } from '../servers/chromium.js';
import { eachDumpState } from './dump-states.js';
import { fillHostile, fillSample } from './sample.js';
import { visit } from './visit.js';

const FOLDER = fileURLToPath(new URL('../../screenshots/', import.meta.url));

const LOOKS = {
  light: { colorScheme: 'light', viewport: { width: 1280, height: 860 } },
  dark: { colorScheme: 'dark', viewport: { width: 1280, height: 860 } },
  narrow: { colorScheme: 'light', viewport: { width: 360, height: 760 } },
  // What a screen of 1280 pixels has left.
  'at-200-percent': { colorScheme: 'light', viewport: { width: 640, height: 430 }, deviceScaleFactor: 2 },
} as const;

interface State {
  path: string;
  /** Without a key. */
  signedOut?: boolean;
  /** What is done before the picture is taken. */
  prepare?: (page: Page) => Promise<unknown>;
}

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
  'explore-end': {
    path: '/collections/sotu',
    prepare: async (page) => {
      await page.evaluate('scrollTo(0, document.documentElement.scrollHeight)');
      await page.getByText('Joseph R Biden, 2021').waitFor();
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
  'docsets-none': { path: '/docsets', signedOut: true, prepare: (page) => signInAsSomebodyNew(page) },
  docsets: { path: '/docsets' },
  'docsets-combining': {
    path: '/docsets',
    prepare: async (page) => {
      for (const name of ['Railroads', 'Canals']) await page.getByRole('checkbox', { name: `Choose ${name}` }).check();
      await page.getByRole('radio', { name: /not in the others/ }).check();
    },
  },
  docset: { path: '/docsets/1', prepare: (page) => page.getByRole('button', { name: 'Show them' }).click() },
  'docset-deleting': { path: '/docsets/1', prepare: (page) => page.getByRole('button', { name: 'Delete' }).click() },
  'docset-not-there': { path: '/docsets/999' },
  'dumps-none': { path: '/dumps' },
  nowhere: { path: '/nowhere' },
};

const wanted = process.argv.slice(2);
const isWanted = (state: string): boolean => wanted.length === 0 || wanted.some((each) => state.startsWith(each));

const browser = await startChromium();
const server = await startFreshApiServer();
let newcomersKey = '';
try {
  await mkdir(FOLDER, { recursive: true });
  await fillSample(server);
  await fillHostile(server);
  const key = await server.keyOf('Ada Lovelace');
  newcomersKey = await server.keyOf('Somebody new');
  for (const [name, query] of [
    ['Railroads', 'railroad'],
    ['Canals', 'canal'],
    ['Whigs on war', { bool: { must: ['war'], filter: [{ term: { party: 'Whig' } }] } }],
  ]) {
    await server.as(key).post('/api/docsets').send({ name, collection: 'sotu', query }).expect(201);
  }
  for (const [state, { path, signedOut = false, prepare }] of Object.entries(STATES)) {
    await shoot(state, { url: server.url, path, prepare, key: signedOut ? undefined : key });
  }
  if (wanted.length === 0 || wanted.some((each) => /^(dump|operators)/.test(each))) await eachDumpState(shoot);
} finally {
  await browser.close();
  await server.stop();
}

async function signInAsSomebodyNew(page: Page): Promise<void> {
  await page.getByLabel('Your key').fill(newcomersKey);
  await page.keyboard.press('Enter');
  await page.getByText('There is none yet.').waitFor();
}

/** What is shown of a state. */
interface Shot {
  url: string;
  path: string;
  key: string | undefined;
  prepare?: ((page: Page) => Promise<unknown>) | undefined;
}

/** In every look; the whole page, but of a list that is longer than any screen. */
async function shoot(state: string, { url, path, key, prepare }: Shot): Promise<void> {
  if (!isWanted(state)) return;
  for (const [look, options] of Object.entries(LOOKS)) {
    const { page, faults, close } = await visit(browser, url, path, { ...options, ...(key !== undefined && { key }) });
    await page.getByRole('heading', { level: 1 }).waitFor();
    await settled(page);
    await prepare?.(page);
    await settled(page);
    // A list may be longer than any screen, and a dialog darkens no more than one.
    const isScreen = path.startsWith('/collections/') || (await page.locator('dialog[open]').isVisible());
    await page.screenshot({ path: `${FOLDER}${state}-${look}.png`, fullPage: !isScreen });
    for (const fault of await faults()) console.log(`${state} ${look}: ${fault}`);
    await close();
  }
  console.log(`${FOLDER}${state}-*.png`);
}

/** Nothing is under way any more; a page that watches a dump goes on asking. */
function settled(page: Page): Promise<unknown> {
  return page.waitForLoadState('networkidle');
}
