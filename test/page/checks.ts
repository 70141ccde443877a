/**
 * What is looked for in a page as Lighthouse does, without the network: `npm run checks:page`. Needs Chromium (test/servers). Prints a table of
 * views and checks, and ends with 1 where one does not hold.
 */
import type { Browser, Page } from 'playwright-core';
import { startFreshApiServer, type FreshApiServer } from '../api-server/fresh-api-server.js';
import { startChromium } from '../servers/chromium.js';
import { fillSample } from './sample.js';
import { visit } from './visit.js';

const VIEWS: Readonly<Record<string, { path: string; signedOut?: true }>> = {
  'sign-in': { path: '/', signedOut: true },
  collections: { path: '/' },
  explore: { path: '/collections/sotu?q=railroad' },
  document: { path: '/documents/1' },
  docsets: { path: '/docsets' },
  docset: { path: '/docsets/1' },
  'ask for a dump': { path: '/docsets/1/dump' },
  dumps: { path: '/dumps' },
};

/** Each is an expression in the page, whose value is what is wrong: a list of words. */
const CHECKS: Readonly<Record<string, string>> = {
  'has a language': "document.documentElement.lang === '' ? ['none'] : []",
  'has a title of its own': '/^.+ – Adit$|^Adit$/.test(document.title) ? [] : [document.title]',
  'has a description': "document.querySelector('meta[name=description]')?.content ? [] : ['none']",
  'is zoomed by its user':
    "/width=device-width/.test(document.querySelector('meta[name=viewport]')?.content) && !/user-scalable|maximum-scale/.test(document.querySelector('meta[name=viewport]').content) ? [] : ['viewport']",
  'has one first heading':
    "document.querySelectorAll('h1').length === 1 ? [] : [String(document.querySelectorAll('h1').length)]",
  'leaves out no level of headings':
    "[...document.querySelectorAll('h1,h2,h3,h4,h5,h6')].map((each) => Number(each.tagName[1])).flatMap((level, index, all) => level > (all[index - 1] ?? 0) + 1 ? ['h' + level] : [])",
  'names its images':
    "[...document.querySelectorAll('img:not([alt]), svg:not([aria-hidden=true]):not([aria-label]):not([aria-labelledby])')].map((each) => each.outerHTML.slice(0, 60))",
  'has targets of 24 px and more':
    "[...document.querySelectorAll('button, input, select, summary, nav a')].filter((each) => each.checkVisibility()).flatMap((each) => { const { width, height } = (each.closest('label') ?? each).getBoundingClientRect(); return width < 1 || (width >= 24 && height >= 24) || each.closest('.unseen') ? [] : [each.outerHTML.slice(0, 60) + ' ' + width + '×' + height]; })",
  'does not move while it loads (CLS ≤ 0.1)': 'aditShift > 0.1 ? [aditShift.toFixed(3)] : []',
  'writes in no document.write, and has no plug-ins':
    "document.querySelectorAll('object, embed, applet, frame').length === 0 ? [] : ['plug-in']",
};

const SHIFTS = `globalThis.aditShift = 0;
new PerformanceObserver((list) => { for (const { hadRecentInput, value } of list.getEntries()) if (!hadRecentInput) aditShift += value; })
  .observe({ type: 'layout-shift', buffered: true });`;

const server = await startFreshApiServer();
const browser = await startChromium();
const wrong: string[] = [];
try {
  await fillSample(server);
  const key = await server.keyOf('Ada');
  await server
    .as(key)
    .post('/api/docsets')
    .send({ name: 'Railroads', collection: 'sotu', query: 'railroad' })
    .expect(201);
  for (const [view, { path, signedOut }] of Object.entries(VIEWS)) {
    for (const [check, found] of await look(browser, server, path, signedOut ? undefined : key)) {
      console.log(`${found.length === 0 ? 'ok    ' : 'WRONG '} ${view.padEnd(16)} ${check}`);
      for (const each of found) console.log(`         ${each}`);
      if (found.length > 0) wrong.push(check);
    }
  }
} finally {
  await browser.close();
  await server.stop();
}
if (wrong.length > 0) process.exitCode = 1;

/** What each check finds wrong with the view at a path. */
async function look(
  browser: Browser,
  { url }: FreshApiServer,
  path: string,
  key: string | undefined,
): Promise<Map<string, readonly string[]>> {
  const asked: string[] = [];
  const uncompressed: string[] = [];
  const unkept: string[] = [];
  const listen = async (page: Page): Promise<void> => {
    await page.addInitScript({ content: SHIFTS });
    page.on('request', (request) => asked.push(`${request.method()} ${request.url()} ${request.postData() ?? ''}`));
    page.on('response', (response) => {
      const headers = response.headers();
      const { pathname } = new URL(response.url());
      // Less than that is in one packet either way; what the API answers is compressed by whoever stands before it.
      if (
        !pathname.startsWith('/api/') &&
        Number(headers['content-length'] ?? 0) > 1_400 &&
        headers['content-encoding'] === undefined
      )
        uncompressed.push(pathname);
      if (pathname.startsWith('/assets/') && !headers['cache-control']?.includes('immutable')) unkept.push(pathname);
    });
  };
  const { page, axe, faults, close } = await visit(browser, url, path, {
    ...(key === undefined ? {} : { key }),
    before: listen,
  });
  await page.getByRole('heading', { level: 1 }).waitFor();
  await page.waitForLoadState('networkidle');
  const results = new Map<string, readonly string[]>();
  for (const [check, expression] of Object.entries(CHECKS))
    results.set(check, await page.evaluate<string[]>(expression));
  results.set('axe finds nothing', await axe());
  results.set(
    'asks nothing twice',
    asked.filter((each, index) => asked.indexOf(each) !== index),
  );
  results.set('comes compressed', uncompressed);
  results.set('has files that are kept', unkept);
  // Errors, warnings, breaches of the policy, and requests to other hosts.
  results.set('has no faults in the console', await faults());
  await close();
  return results;
}
