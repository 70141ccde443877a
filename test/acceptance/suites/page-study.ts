/** A whole study in the page, from the question to the file on disk, by people who have a keyboard alone, or a mouse alone. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { expect } from '@jest/globals';
import type { Download, Locator, Page } from 'playwright-core';
import { verifyBag } from '../../../cli/miner/verify-bag.js';
import { waitUntil } from '../../servers/index.js';

/** Under load, a browser may take a while for what is usually there at once. */
const PATIENCE = { deadlineMs: 90_000 };

/**
 * Signs in, searches, narrows down, makes a docset, asks for its dump, watches it and takes it, with nothing but keys.
 * @param page where nobody is signed in
 */
export async function studyByKeyboard(page: Page, key: string): Promise<Download> {
  await page.getByLabel('Your key').waitFor();
  await tabTo(page, 'Your key', 4);
  await page.keyboard.insertText(key);
  await page.keyboard.press('Enter');
  await arriveAt(page, 'Collections');
  await page.getByRole('link', { name: 'State of the Union addresses' }).waitFor();
  await tabTo(page, 'State of the Union addresses', 1);
  await page.keyboard.press('Enter');
  await arriveAt(page, 'State of the Union addresses');
  await untilFound(page, (found) => /^\d+ documents$/.test(found));

  await tabTo(page, 'Search the texts', 3);
  await page.keyboard.type('railroad', { delay: 20 });
  await untilFound(page, (found) => found.endsWith('matching “railroad”'));
  // From the words past the years and the fields to what is done with the result, and never back.
  await tabTo(page, 'Skip to what was found', 1);
  await tabTo(page, 'First year', 1);
  for (let presses = 0; presses < 3; presses++) await page.keyboard.press('PageUp');
  await untilFound(page, (found) => / since \d{4}$/.test(found));
  await tabTo(page, 'Last year', 1);
  await page.keyboard.press('PageDown');
  await untilFound(page, (found) => / from \d{4} to \d{4}$/.test(found));
  await tabTo(page, /^Republican \d/, 20);
  await page.keyboard.press('Space');
  await untilFound(page, (found) => found.includes('party Republican, from'));
  await tabTo(page, /^Make a docset of these/, 60);
  const hits = await hitsIn(page);
  await page.keyboard.press('Enter');

  await page.getByRole('dialog').waitFor();
  await tabTo(page, 'Name', 2, { there: true });
  await page.keyboard.press('Control+A');
  await page.keyboard.type('Republicans on railroads');
  await page.keyboard.press('Enter');
  await arriveAt(page, 'Republicans on railroads');
  await page.getByText(`${hits} documents of`).waitFor();
  await tabTo(page, 'Ask for a dump', 3);
  await page.keyboard.press('Enter');

  await arriveAt(page, 'Ask for a dump');
  await untilEstimated(page, hits);
  await tabTo(page, 'Ask for the dump', 12);
  await page.keyboard.press('Enter');
  await arriveAt(page, 'Dump of Republicans on railroads');
  await page.getByRole('button', { name: /^Download docset-/ }).waitFor();
  await tabTo(page, /^Download docset-/, 6);
  const coming = page.waitForEvent('download');
  await page.keyboard.press('Enter');
  return coming;
}

/**
 * The same without words, with nothing but the mouse: what a key types is left out.
 * @param page the collections, where somebody is signed in
 */
export async function studyByMouse(page: Page): Promise<Download> {
  await clickOn(page, page.getByRole('link', { name: 'State of the Union addresses' }));
  await arriveAt(page, 'State of the Union addresses');
  await untilFound(page, (found) => /^\d+ documents$/.test(found));
  await clickOn(page, page.getByRole('checkbox', { name: /^Whig \d/ }));
  await untilFound(page, (found) => found.endsWith('party Whig'));
  await clickOn(page, page.getByRole('checkbox', { name: /^Federalist \d/ }));
  await untilFound(page, (found) => found.endsWith('party Federalist or Whig') || found.endsWith('Whig or Federalist'));
  await brush(page, page.locator('.bars'), 0.1, 0.27);
  await untilFound(page, (found) => / from \d{4} to \d{4}$/.test(found));
  const hits = await hitsIn(page);
  await clickOn(page, page.getByRole('button', { name: /^Make a docset of these/ }));
  await clickOn(page, page.getByRole('button', { name: 'Make it' }));

  await page.getByText(`${hits} documents of`).waitFor();
  await clickOn(page, page.getByRole('link', { name: 'Ask for a dump' }));
  await arriveAt(page, 'Ask for a dump');
  await untilEstimated(page, hits);
  await clickOn(page, page.getByRole('button', { name: 'Ask for the dump' }));
  const download = page.getByRole('button', { name: /^Download docset-/ });
  await download.waitFor();
  const coming = page.waitForEvent('download');
  await clickOn(page, download);
  return coming;
}

/** That the file is the one whose checksum the page shows, and a whole bag of as many documents as the page told. */
export async function expectTaken(page: Page, download: Download, file: string): Promise<void> {
  await download.saveAs(file);
  const digest = createHash('sha256');
  digest.update(await readFile(file));
  expect(digest.digest('hex')).toBe(await page.locator('.digest').textContent());
  const told = /all (\d+) documents/i.exec(await page.locator('.lead').innerText())?.[1];
  expect((await verifyBag(file)).payload).toEqual({ json: Number(told), txt: Number(told) });
}

/** Tabs on until what is called so has the focus, in so many steps at the most. */
async function tabTo(page: Page, name: string | RegExp, most: number, { there = false } = {}): Promise<void> {
  const passed: string[] = [];
  for (let steps = 0; steps <= most; steps++) {
    if (steps > 0 || !there) await page.keyboard.press('Tab');
    const focused = await page.evaluate<string>(FOCUSED);
    if (typeof name === 'string' ? focused === name : name.test(focused)) return;
    passed.push(focused);
  }
  throw new Error(`${String(name)} is not reached in ${most} steps, which passed ${passed.join(' | ')}`);
}

/** What is read out of that which has the focus: its label or what it says. */
const FOCUSED = `(() => {
  const { activeElement: it } = document;
  const label = it.getAttribute('aria-label') ?? (it.labels?.length > 0 ? it.labels[0].innerText : it.innerText);
  return label.replace(/\\s+/g, ' ').trim();
})()`;

/** The new place begins at its heading, which has the focus, so that the next Tab leads into it. */
async function arriveAt(page: Page, heading: string): Promise<void> {
  await page.getByRole('heading', { level: 1, name: heading }).waitFor();
  await waitUntil(
    `the focus is at ${heading}`,
    async () => (await page.evaluate<string>(FOCUSED)) === heading,
    PATIENCE,
  );
}

const foundIn = async (page: Page): Promise<string> =>
  (await page.locator('#found').innerText()).replaceAll(/\s+/g, ' ').trim();

async function untilFound(page: Page, isTold: (found: string) => boolean): Promise<void> {
  await page.locator('#found').waitFor();
  await waitUntil('what was found is told', async () => isTold(await foundIn(page)), PATIENCE);
}

const hitsIn = async (page: Page): Promise<number> => parseInt(await foundIn(page), 10);

async function untilEstimated(page: Page, documents: number): Promise<void> {
  await page.locator('.estimate', { hasText: 'to download' }).waitFor();
  expect(await page.locator('.estimate').innerText()).toMatch(
    new RegExp(`^${documents} documents, about [\\d.]+ [kM]?B to download \\([\\d.]+ [kM]?B unpacked\\)`),
  );
}

/** Where the middle of it is, once it is on the screen and moves no more. */
async function middleOf(page: Page, target: Locator): Promise<{ x: number; y: number; width: number }> {
  await target.waitFor();
  let before = '';
  for (let turns = 0; turns < 200; turns++) {
    const box = await target.boundingBox();
    const now = JSON.stringify(box);
    const height = page.viewportSize()?.height ?? 0;
    if (box !== null && box.y >= 0 && box.y + box.height <= height && now === before) {
      return { x: box.x + box.width / 2, y: box.y + box.height / 2, width: box.width };
    }
    before = now;
    if (box !== null && box.y < 0) await page.mouse.wheel(0, -200);
    if (box !== null && box.y + box.height > height) await page.mouse.wheel(0, 200);
    await page.evaluate('new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)))');
  }
  throw new Error(`the wheel does not lead to ${String(target)}`);
}

/** As a hand does it: what lies above it gets the click. */
async function clickOn(page: Page, target: Locator): Promise<void> {
  const { x, y } = await middleOf(page, target);
  await page.mouse.move(x, y, { steps: 3 });
  await page.mouse.down();
  await page.mouse.up();
}

/** From one part of its width to another. */
async function brush(page: Page, target: Locator, from: number, to: number): Promise<void> {
  const { x, y, width } = await middleOf(page, target);
  const at = (part: number): number => x + width * (part - 0.5);
  await page.mouse.move(at(from), y);
  await page.mouse.down();
  await page.mouse.move(at(to), y, { steps: 6 });
  await page.mouse.up();
}
