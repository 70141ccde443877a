/** A visit to the page in a real browser, which notices everything that must not happen there. */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Browser, BrowserContext, BrowserContextOptions, Page } from 'playwright-core';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** A condition in a page is awaited for so long, in milliseconds: the machine may be busy. */
const PATIENCE = 60_000;

/** A test, or what comes before all of a file, may take so long. */
export const LONGEST = 300_000;

/** Servers that run from the sources serve what this builds. */
export const buildPage = (): Promise<unknown> =>
  promisify(execFile)(process.execPath, ['api-server/page/build.mjs', 'dist/page'], { cwd: ROOT });

export interface Visit {
  readonly page: Page;
  readonly context: BrowserContext;
  /**
   * Dialogs, errors, breaches of the Content-Security-Policy, scripts that ran and should not have, requests to other hosts; each once it
   * has happened, in words. A test ends with expecting none.
   */
  readonly faults: () => Promise<string[]>;
  /** What axe finds wrong with the page as it is, in words. */
  readonly axe: () => Promise<string[]>;
  readonly close: () => Promise<void>;
}

export interface VisitOptions extends BrowserContextOptions {
  /** Signs in with it, as if it had been pasted before. */
  key?: string;
  /** Parts of faults that a test brings about itself. */
  expected?: readonly RegExp[];
  /** What is done with the tab before anything is opened in it. */
  before?: (page: Page) => Promise<void>;
}

/** Opens `path` of the service at `url`. */
export async function visit(
  browser: Browser,
  url: string,
  path: string,
  { key, expected = [], before, ...options }: VisitOptions = {},
): Promise<Visit> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  context.setDefaultTimeout(PATIENCE);
  const faults: string[] = [];
  const page = await context.newPage();
  page.on('dialog', (dialog) => {
    faults.push(`dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  page.on('pageerror', (error) => faults.push(`error: ${error.message}`));
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') faults.push(`console: ${message.text()}`);
  });
  page.on('request', (request) => {
    const asked = new URL(request.url());
    if (asked.protocol !== 'data:' && asked.protocol !== 'blob:' && asked.origin !== url)
      faults.push(`request: ${asked.href}`);
  });
  await context.exposeBinding('aditTestFault', (_source, fault: string) => faults.push(fault));
  await context.addInitScript({ content: `(${watch})(${JSON.stringify(key ?? null)})` });
  await before?.(page);
  await page.goto(new URL(path, url).href);
  return {
    page,
    context,
    async faults() {
      // One more round through the page: what happened before has been told by then.
      if (!page.isClosed()) await page.evaluate('new Promise(requestAnimationFrame)');
      return faults.filter((fault) => !expected.some((pattern) => pattern.test(fault)));
    },
    axe: () => runAxe(page),
    close: () => context.close(),
  };
}

/** In the page, before anything of it runs. */
const watch = `(key) => {
  const tell = (fault) => globalThis.aditTestFault(fault);
  document.addEventListener('securitypolicyviolation', (event) => tell('policy: ' + event.violatedDirective + ' ' + event.blockedURI));
  // What hostile texts in the tests name.
  Object.defineProperty(globalThis, 'pwned', { get: () => tell('script: a text was run') });
  if (key !== null && sessionStorage.getItem('adit-key') === null) sessionStorage.setItem('adit-key', key);
}`;

interface AxeResults {
  violations: { id: string; help: string; nodes: { target: string[]; failureSummary: string }[] }[];
}

async function runAxe(page: Page): Promise<string[]> {
  // Evaluated by the debugger, it needs no exception from the page's policy.
  await page.evaluate(AXE);
  const { violations } = await page.evaluate<AxeResults>(
    "axe.run({ resultTypes: ['violations'], runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] })",
  );
  return violations.flatMap(({ id, help, nodes }) =>
    nodes.map(({ target, failureSummary }) => `${id}: ${help}: ${target.join(' ')}\n${failureSummary}`),
  );
}
