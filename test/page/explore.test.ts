/** Explore, in a real browser over the sample: searching, narrowing down, and the URL that keeps it. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, jest, test } from '@jest/globals';
import type { Browser, Page } from 'playwright-core';
import { startFreshApiServer, type FreshApiServer } from '../api-server/fresh-api-server.js';
import { describeOn, startChromium, waitUntil } from '../servers/index.js';
import { fillSample } from './sample.js';
import { LONGEST, buildPage, visit, type Visit } from './visit.js';

const EXPLORE = '/collections/sotu';

jest.setTimeout(LONGEST);

describeOn('chromium', 'Explore', () => {
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
  const come = async (path: string): Promise<void> => {
    current = await visit(browser, server.url, path, { key });
    ({ page } = current);
  };
  beforeEach(() => come(EXPLORE));
  afterEach(async () => {
    expect(await current.faults()).toEqual([]);
    await current.close();
  });

  const found = async (): Promise<string> => (await page.locator('#found').innerText()).replaceAll('\u00a0', ' ');
  const awaitFound = (told: RegExp): Promise<true> =>
    waitUntil(`found is told as ${told}`, async () => told.test(await found()));
  /** What the API says to the same question. */
  const hitsOf = async (query: unknown): Promise<number> => {
    const answer = await server.as(key).post('/api/collections/sotu/search').send({ query, limit: 0 }).expect(200);
    return (answer.body as { hits: number }).hits;
  };

  test('tells the date of each document in full where there is little room', async () => {
    await page.setViewportSize({ width: 360, height: 760 });
    await page.locator('.row-facts .date').first().waitFor();
    const seen = await page.evaluate<boolean[]>(`
      [...document.querySelectorAll('.row-facts .date')].map(
        (date) => date.scrollWidth <= date.clientWidth && date.getBoundingClientRect().right <= innerWidth,
      )`);
    expect(seen.length).toBeGreaterThan(3);
    expect(seen).not.toContain(false);
  });

  test('finds while one types, marks the words, tells how many, and keeps the question in the URL', async () => {
    await page.getByLabel('Search the texts').pressSequentially('railroad', { delay: 30 });
    const hits = await hitsOf('railroad');
    await awaitFound(new RegExp(`^${hits} documents matching “railroad”$`));
    await page
      .locator('mark', { hasText: /railroad/i })
      .first()
      .waitFor();
    expect(page.url()).toBe(`${server.url}${EXPLORE}?q=railroad`);
    await page
      .getByRole('status')
      .filter({ hasText: `${hits} documents` })
      .waitFor({ state: 'attached' });
  });

  test('breaks off questions that nobody waits for any more', async () => {
    await awaitFound(/^\d+ documents/);
    const failed: string[] = [];
    page.on('requestfailed', (request) => failed.push(request.failure()?.errorText ?? ''));
    // The answers come late: each next word is typed before them.
    let answer: () => void = () => undefined;
    const typed = new Promise<void>((resolve) => (answer = resolve));
    await page.route('**/search', async (route) => {
      await typed;
      await route.continue().catch(() => undefined);
    });
    const input = page.getByLabel('Search the texts');
    for (const text of ['war', 'war peace', 'war peace canal']) {
      await input.fill(text);
      await page.waitForURL(new RegExp(`q=${text.replaceAll(' ', '\\+')}$`));
    }
    answer();
    await awaitFound(/matching “war peace canal”$/);
    expect(failed).toContain('net::ERR_ABORTED');
  });

  test('narrows down by the values of fields, of which several may be chosen, and back', async () => {
    await page.getByRole('checkbox', { name: /^Whig \d/ }).check();
    const whig = { term: { party: 'Whig' } };
    await awaitFound(new RegExp(`^${await hitsOf(whig)} documents party Whig$`));
    await page.getByRole('checkbox', { name: /^Federalist \d/ }).check();
    const both = { terms: { party: ['Whig', 'Federalist'] } };
    await awaitFound(new RegExp(`^${await hitsOf(both)} documents party Whig or Federalist$`));
    await page.goBack();
    await awaitFound(/party Whig$/);
    expect(await page.getByRole('checkbox', { name: /^Federalist \d/ }).isChecked()).toBe(false);
    await page.getByRole('button', { name: 'Start over' }).click();
    await awaitFound(/^\d+ documents$/);
  });

  test('is brushed over years with the mouse', async () => {
    await awaitFound(/^\d+ documents$/);
    const bars = await page.locator('.bars').boundingBox();
    if (bars === null) throw new Error('there is no histogram');
    const at = (part: number): [number, number] => [bars.x + bars.width * part, bars.y + bars.height / 2];
    await page.mouse.move(...at(0.25));
    await page.mouse.down();
    await page.mouse.move(...at(0.4), { steps: 4 });
    await page.mouse.move(...at(0.5), { steps: 4 });
    await page.mouse.up();
    await page.waitForURL(/from=1\d\d\d&to=1\d\d\d/);
    const { searchParams } = new URL(page.url());
    const [from, to] = [searchParams.get('from'), searchParams.get('to')];
    const hits = await hitsOf({ range: { date: { gte: from, lte: to } } });
    await awaitFound(new RegExp(`^${hits} documents from ${from} to ${to}$`));
    await page.getByRole('button', { name: 'All years' }).click();
    await awaitFound(/^\d+ documents$/);
  });

  test('is brushed over years with the keyboard', async () => {
    await page.getByRole('slider', { name: 'First year' }).focus();
    for (let presses = 0; presses < 5; presses++) await page.keyboard.press('PageUp');
    await page.keyboard.press('ArrowRight');
    await page.waitForURL(/from=/);
    await page.keyboard.press('Tab');
    await page.keyboard.press('ArrowLeft');
    await page.waitForURL(/from=\d+&to=/);
    const { searchParams } = new URL(page.url());
    const [from, to] = [searchParams.get('from'), searchParams.get('to')];
    await awaitFound(
      new RegExp(`^${await hitsOf({ range: { date: { gte: from, lte: to } } })} documents from ${from} to ${to}$`),
    );
  });

  test('a URL that was sent shows the same to another, after a reload too', async () => {
    await current.close();
    await come(`${EXPLORE}?q=%22civil+rights%22&in.party=Democratic&from=1945&to=1970&sort=-date`);
    const query = {
      bool: {
        must: ['"civil rights"'],
        filter: [{ term: { party: 'Democratic' } }, { range: { date: { gte: '1945', lte: '1970' } } }],
      },
    };
    const told = new RegExp(
      `^${await hitsOf(query)} documents matching "civil rights", party Democratic, from 1945 to 1970$`,
    );
    await awaitFound(told);
    expect(await page.getByLabel('Search the texts').inputValue()).toBe('"civil rights"');
    expect(await page.getByLabel('Order').inputValue()).toBe('-date');
    await page.reload();
    await awaitFound(told);
    await page.getByText('The query, for programs').click();
    expect(JSON.parse(await page.locator('.programs pre').innerText())).toEqual(query);
  });

  test('a document opens, and the way back leads to where one was', async () => {
    await page.getByLabel('Search the texts').fill('war');
    await awaitFound(/matching “war”$/);
    await page.mouse.wheel(0, 3_000);
    await waitUntil('it is scrolled', async () => (await page.evaluate<number>('scrollY')) > 500);
    // By its name: which row is the twelfth changes while the list moves.
    const title = await page.locator('.row-title').nth(12).innerText();
    await page.getByRole('link', { name: title, exact: true }).click();
    await page.getByRole('heading', { level: 1, name: title }).waitFor();
    await page.getByRole('button', { name: /^Read the text/ }).click();
    await page.getByRole('group', { name: 'What it says' }).waitFor();
    await page.goBack();
    await page.getByRole('link', { name: title, exact: true }).waitFor();
    await waitUntil('it is scrolled to where it was', async () => (await page.evaluate<number>('scrollY')) > 500);
  });

  test('whoever leaps to the end of the list is there with one question more', async () => {
    await awaitFound(/^\d+ documents$/);
    await page.locator('.row-title').first().waitFor();
    const asked: number[] = [];
    page.on('request', (request) => {
      const body = (request.postDataJSON() ?? {}) as { skip?: number; limit?: number };
      if (request.url().endsWith('/search') && body.limit !== 0) asked.push(body.skip ?? 0);
    });
    await page.evaluate('scrollTo(0, document.documentElement.scrollHeight)');
    await page.getByText('Joseph R Biden, 2021').waitFor();
    // What lies between was not asked for: the last page begins at 220.
    expect(asked).toContain(220);
    expect(asked).not.toContain(120);
  });

  test('with the keyboard alone one gets from the words to a document', async () => {
    await awaitFound(/^\d+ documents/);
    await page.getByLabel('Search the texts').focus();
    await page.keyboard.type('treaty');
    await awaitFound(/matching “treaty”$/);
    await page.locator('.row-title').first().waitFor();
    const focused = (): Promise<string> => page.evaluate<string>("document.activeElement?.className ?? ''");
    for (let presses = 0; presses < 80 && (await focused()) !== 'row-title'; presses++)
      await page.keyboard.press('Tab');
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('ArrowDown');
    const title = await page.evaluate<string>("document.activeElement?.textContent ?? ''");
    expect(title).toMatch(/^State of the Union/);
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { level: 1, name: title }).waitFor();
    expect(await page.evaluate<string>("document.activeElement?.tagName ?? ''")).toBe('H1');
  });

  test('what the server refuses is told, and the page goes on', async () => {
    await current.close();
    current = await visit(browser, server.url, `${EXPLORE}?in.nofield=x`, {
      key,
      expected: [/status of 400/, /RefusedError/, /nofield/],
    });
    ({ page } = current);
    await page.getByRole('alert').filter({ hasText: 'nofield' }).first().waitFor();
    await page.getByRole('checkbox', { name: /^x/ }).click();
    await awaitFound(/^\d+ documents$/);
    expect(await page.getByRole('alert').count()).toBe(0);
  });

  test('an answer that does not come is told, and asked for again', async () => {
    await current.close();
    current = await visit(browser, server.url, EXPLORE, { key, expected: [/Failed to load/, /ERR_/] });
    ({ page } = current);
    await awaitFound(/^\d+ documents$/);
    await page.context().setOffline(true);
    await page.getByLabel('Search the texts').fill('war');
    await page.getByRole('alert').filter({ hasText: 'cannot be reached' }).waitFor();
    await page.context().setOffline(false);
    await page.getByRole('button', { name: 'Try again' }).click();
    await awaitFound(/matching “war”$/);
  });
});
