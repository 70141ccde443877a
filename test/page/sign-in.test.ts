/** Coming in: a key that is good, and keys that are not. */
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import type { Browser } from 'playwright-core';
import { PACKAGER_KEY, fill, startFreshApiServer, type FreshApiServer } from '../api-server/fresh-api-server.js';
import { describeOn, startChromium } from '../servers/index.js';
import { LONGEST, buildPage, visit } from './visit.js';

jest.setTimeout(LONGEST);

describeOn('chromium', 'signing in', () => {
  let server: FreshApiServer;
  let browser: Browser;
  beforeAll(async () => {
    await buildPage();
    [server, browser] = await Promise.all([startFreshApiServer(), startChromium()]);
    await fill(server, 'addresses', [{ ref: 'a', files: { txt: { text: 'apple' } } }]);
  }, LONGEST);
  afterAll(async () => {
    await browser.close();
    await server.stop();
  });

  test('shows the collections to whoever pastes a key, which is kept in the session and in no URL', async () => {
    const { page, ...visited } = await visit(browser, server.url, '/docsets');
    const key = await server.keyOf('Ada Lovelace');
    await page.getByLabel('Your key').fill(`  ${key}\n`);
    await page.getByRole('button', { name: 'Begin' }).click();
    await page.getByRole('heading', { name: 'Docsets' }).waitFor();
    await page.getByText('Ada Lovelace').waitFor();
    await page.getByRole('link', { name: 'Explore' }).click();
    await page.getByRole('link', { name: 'addresses' }).waitFor();
    expect(page.url()).toBe(`${server.url}/`);
    await page.reload();
    await page.getByRole('link', { name: 'addresses' }).waitFor();
    expect(await page.evaluate('[localStorage.length, document.cookie]')).toEqual([0, '']);
    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.getByLabel('Your key').waitFor();
    expect(await page.evaluate('sessionStorage.length')).toBe(0);
    expect(await visited.faults()).toEqual([]);
    await visited.close();
  });

  test.each([
    [
      'one that is unknown',
      () => Promise.resolve('adit_00000000_0000000000000000000000000000000000000000'),
      /unknown or was revoked|not valid/,
    ],
    ['nothing', () => Promise.resolve(' '), /Paste your key/],
    ['two words', () => Promise.resolve('my key'), /no spaces/],
    ['what no header can have', () => Promise.resolve('schlüssel'), /no special characters/],
    ['that of a packager', () => Promise.resolve(PACKAGER_KEY), /key of a packager/],
  ])('says what is wrong with %s', async (_what, keyOf, told) => {
    const { page, ...visited } = await visit(browser, server.url, '/', { expected: [/status of 401/] });
    await page.getByLabel('Your key').fill(await keyOf());
    await page.keyboard.press('Enter');
    await page.getByRole('alert').filter({ hasText: told }).waitFor();
    expect(await page.evaluate('sessionStorage.length')).toBe(0);
    expect(await visited.axe()).toEqual([]);
    expect(await visited.faults()).toEqual([]);
    await visited.close();
  });

  test('a key that is revoked while it is used ends the session, and says so', async () => {
    const key = await server.keyOf('Eve');
    const { page, ...visited } = await visit(browser, server.url, '/', { expected: [/status of 401/] });
    await page.getByLabel('Your key').fill(key);
    await page.keyboard.press('Enter');
    await page.getByRole('link', { name: 'addresses' }).waitFor();
    await server.parts
      .knex('keys')
      .where({ id: key.split('_')[1] })
      .update({ revoked: new Date() });
    await page.getByRole('link', { name: 'addresses' }).click();
    await page
      .getByRole('alert')
      .filter({ hasText: /not valid|revoked/ })
      .waitFor();
    expect(await page.evaluate('sessionStorage.length')).toBe(0);
    expect(await visited.faults()).toEqual([]);
    await visited.close();
  });
});
