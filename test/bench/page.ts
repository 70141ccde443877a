/**
 * What the page costs a browser, over the embedded service: `npm run bench:page`. Needs Chromium (test/servers). Prints each figure beside
 * its bound, last the same as one line of JSON, and ends with 1 where a bound is not kept.
 */
import type { Browser, CDPSession, Page } from 'playwright-core';
import { startFreshApiServer, type FreshApiServer } from '../api-server/fresh-api-server.js';
import { fill } from '../api-server/fresh-api-server.js';
import { fillSample } from '../page/sample.js';
import { visit } from '../page/visit.js';
import { startChromium } from '../servers/chromium.js';

const DOCUMENTS = Number(process.env['DOCUMENTS'] ?? 100_000);
const ROUNDS = Number(process.env['ROUNDS'] ?? 7);

interface Figure {
  what: string;
  value: number;
  unit: string;
  /** The most that it may be; undefined where it is only told. */
  bound?: number;
}

// As it is run: nobody checks there what is answered.
const server = await startFreshApiServer(undefined, { VALIDATE_RESPONSES: 'false' });
const browser = await startChromium();
const figures: Figure[] = [];
try {
  await fillSample(server);
  await fillMany(server);
  const key = await server.keyOf('Ada');
  figures.push(...(await firstLoad(server)));
  figures.push(...(await usable(browser, server, key)));
  figures.push(...(await searches(browser, server, key)));
  figures.push(...(await scrolling(browser, server, key)));
} finally {
  await browser.close();
  await server.stop();
}
for (const { what, value, unit, bound } of figures) {
  const kept = bound === undefined ? '' : value <= bound ? `  (at most ${bound})` : `  NOT WITHIN ${bound}`;
  console.log(`${what.padEnd(70)} ${String(Math.round(value)).padStart(6)} ${unit}${kept}`);
}
console.log(JSON.stringify(figures));
if (figures.some(({ value, bound }) => bound !== undefined && value > bound)) process.exitCode = 1;

/** Documents without files: what is scrolled is the list. */
async function fillMany({ parts }: FreshApiServer): Promise<void> {
  await fill(server, 'many', [{ ref: 'r', metadata: { title: 'One of many', date: '1900', part: 'a' } }]);
  await parts.knex.raw(
    `insert into documents (collection_id, ref, revision, current, digest, title, creator, date, metadata, tsv, metadata_tsv)
     select 'many', 'r' || to_char(number, 'FM000000'), 1, true, '', 'Document ' || number || ' of a long list of documents', 'Somebody',
       (1800 + number % 200)::text, jsonb_build_object('part', chr(97 + number % 7), 'date', (1800 + number % 200)::text), '', ''
     from generate_series(1, ?::int) as number`,
    [DOCUMENTS - 1],
  );
  await parts.knex.raw('vacuum analyze documents');
}

/** HTML, styles, scripts and icon, as gzip: what comes first, and all that comes later, too. */
async function firstLoad({ url }: FreshApiServer): Promise<Figure[]> {
  const sizeOf = async (path: string): Promise<{ size: number; text: string }> => {
    const answer = await fetch(`${url}${path}`, { headers: { 'Accept-Encoding': 'gzip' } });
    return { size: Number(answer.headers.get('content-length')), text: await answer.text() };
  };
  const sizes = new Map<string, number>();
  const take = async (path: string): Promise<string> => {
    const { size, text } = await sizeOf(path);
    sizes.set(path, size);
    return text;
  };
  const total = (): number => [...sizes.values()].reduce((sum, size) => sum + size, 0);
  const index = await take('/');
  const texts = await Promise.all(
    [...index.matchAll(/(?:src|href)="(\/assets\/[^"]+)"/g)].map(([, path = '']) => take(path)),
  );
  const first = total();
  for (const text of texts) {
    for (const [, name = ''] of text.matchAll(/["'](?:\.|\/assets)\/([\w-]+\.js)["']/g)) {
      if (!sizes.has(`/assets/${name}`)) texts.push(await take(`/assets/${name}`));
    }
  }
  return [
    { what: 'first load, gzip', value: first, unit: 'bytes', bound: 60_000 },
    { what: 'the whole page, gzip', value: total(), unit: 'bytes', bound: 60_000 },
  ];
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

/** From the navigation to the first collection that can be clicked, nothing in the cache. */
async function usable(browser: Browser, { url }: FreshApiServer, key: string): Promise<Figure[]> {
  const times = async (latency: number): Promise<number[]> => {
    const measured: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      const { page, close } = await visit(browser, url, '/healthz', { key });
      const session = await throttled(page, latency);
      await page.goto(`${url}/`);
      await page.locator('.card a').first().waitFor();
      // The moment of the frame in which it was painted, from the beginning of the navigation.
      measured.push(await page.evaluate<number>("performance.getEntriesByName('usable')[0].startTime"));
      await session.detach();
      await close();
    }
    return measured;
  };
  return [
    {
      what: 'usable at 1.6 Mbit/s and a CPU of a quarter, median',
      value: median(await times(0)),
      unit: 'ms',
      bound: 1_000,
    },
    { what: 'the same with 150 ms for each round trip', value: median(await times(150)), unit: 'ms' },
  ];
}

async function throttled(page: Page, latency: number): Promise<CDPSession> {
  const session = await page.context().newCDPSession(page);
  const rate = 1_600_000 / 8;
  await session.send('Network.enable');
  await session.send('Network.emulateNetworkConditions', {
    offline: false,
    latency,
    downloadThroughput: rate,
    uploadThroughput: rate,
  });
  await session.send('Emulation.setCPUThrottlingRate', { rate: 4 });
  await page.addInitScript({
    content: `new MutationObserver((_, observer) => {
      if (document.querySelector('.card a') === null) return;
      observer.disconnect();
      requestAnimationFrame(() => performance.mark('usable'));
    }).observe(document, { childList: true, subtree: true })`,
  });
  return session;
}

/** From the question, and from the last key stroke, to the frame that shows the answer. */
async function searches(browser: Browser, { url }: FreshApiServer, key: string): Promise<Figure[]> {
  const { page, close } = await visit(browser, url, '/collections/sotu', { key });
  await page.locator('#found').waitFor();
  let underWay = 0;
  page.on('request', () => (underWay += 1));
  for (const end of ['requestfinished', 'requestfailed'] as const)
    page.on(end as 'requestfinished', () => (underWay -= 1));
  /** Highlights and facets follow the results. */
  const quiet = async (): Promise<void> => {
    do await page.waitForTimeout(500);
    while (underWay > 0);
  };
  await quiet();
  const fromKey: number[] = [];
  const fromQuestion: number[] = [];
  const words = ['railroad', 'canal', 'treaty', 'slavery', 'congress', 'war', 'peace', 'gold', 'silver', 'bank'];
  for (const word of words) {
    await page.evaluate(`
      globalThis.painted = new Promise((resolve) => {
        let typed = 0;
        document.querySelector('#search').addEventListener('input', () => (typed = performance.now()), { once: false });
        const found = document.querySelector('#found');
        const observer = new MutationObserver(() => {
          if (!document.querySelector('#found').textContent.includes(${JSON.stringify(word)})) return;
          observer.disconnect();
          requestAnimationFrame(() => resolve([performance.now(), typed]));
        });
        observer.observe(document.querySelector('.results'), { childList: true, subtree: true, characterData: true });
      });
      performance.clearResourceTimings();`);
    await page.getByLabel('Search the texts').fill(word);
    const [at = 0, typed = 0] = await page.evaluate<number[]>('globalThis.painted');
    const asked = await page.evaluate<number>(
      "Math.min(...performance.getEntriesByType('resource').filter(({ name }) => name.endsWith('/search')).map(({ startTime }) => startTime))",
    );
    fromKey.push(at - typed);
    fromQuestion.push(at - asked);
    await quiet();
  }
  await close();
  return [
    {
      what: 'a search on the sample, from the key stroke to its results, median',
      value: median(fromKey),
      unit: 'ms',
      bound: 150,
    },
    { what: 'the same from the question that was sent', value: median(fromQuestion), unit: 'ms' },
    { what: 'the slowest, from the key stroke', value: Math.max(...fromKey), unit: 'ms' },
  ];
}

/** Through all of it with the wheel in leaps, and slowly for a while: the longest time between two frames, and the longest task. */
async function scrolling(browser: Browser, { url }: FreshApiServer, key: string): Promise<Figure[]> {
  const { page, close } = await visit(browser, url, '/collections/many', { key });
  await page.locator('.row-title').first().waitFor();
  await page.waitForLoadState('networkidle');
  await page.evaluate(`
    globalThis.frames = []; globalThis.tasks = [0]; globalThis.isScrolling = true;
    new PerformanceObserver((list) => tasks.push(...list.getEntries().map(({ duration }) => duration))).observe({ type: 'longtask' });
    let before;
    const frame = (now) => {
      if (before !== undefined) frames.push(now - before);
      before = now;
      if (isScrolling) requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame)`);
  await page.mouse.move(800, 600);
  for (let turns = 0; turns < 100; turns++) {
    await page.mouse.wheel(0, 400);
    await page.evaluate('new Promise(requestAnimationFrame)');
  }
  for (let part = 1; part <= 20; part++) {
    await page.evaluate(`scrollTo(0, document.documentElement.scrollHeight * ${part / 20})`);
    await page.evaluate('new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)))');
  }
  const jumped = performance.now();
  await page.getByText(`Document ${DOCUMENTS - 1} of a long list`).waitFor({ timeout: 300_000 });
  const reached = performance.now() - jumped;
  const { frames, tasks } = await page.evaluate<{ frames: number[]; tasks: number[] }>(
    '(isScrolling = false, { frames, tasks })',
  );
  await close();
  const sorted = [...frames].sort((a, b) => a - b);
  return [
    {
      what: `scrolling ${DOCUMENTS} results: longest time between two frames`,
      value: sorted.at(-1) ?? 0,
      unit: 'ms',
      bound: 50,
    },
    { what: 'the same, 99th percentile', value: sorted[Math.floor(sorted.length * 0.99)] ?? 0, unit: 'ms' },
    {
      what: 'the longest task of the page meanwhile (0: none over 50 ms)',
      value: Math.max(...tasks),
      unit: 'ms',
      bound: 50,
    },
    { what: 'from the jump to the end until the last ones are there', value: reached, unit: 'ms' },
  ];
}
