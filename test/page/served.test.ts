/** How the page is served: to whom, and with which headers. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { startFreshApiServer, type FreshApiServer } from '../api-server/fresh-api-server.js';
import { buildPage } from './visit.js';

describe('the page', () => {
  let server: FreshApiServer;
  beforeAll(async () => {
    await buildPage();
    server = await startFreshApiServer();
  });
  afterAll(() => server.stop());

  const ask = (path: string, headers: Record<string, string> = {}): Promise<Response> =>
    fetch(`${server.url}${path}`, { headers, redirect: 'manual' });
  const namesIn = (html: string): string[] =>
    [...html.matchAll(/(?:src|href)="(\/assets\/[^"]+)"/g)].map(([, name = '']) => name);

  test('is at /, and at its other addresses for those who accept HTML only', async () => {
    const html = await (await ask('/')).text();
    expect(html).toMatch(/^<!doctype html>/i);
    for (const path of ['/docsets', '/docsets/5', '/collections/sotu?q=railroad', '/nowhere']) {
      const browser = await ask(path, { Accept: 'text/html,application/xhtml+xml,*/*;q=0.8' });
      expect([browser.status, await browser.text()]).toEqual([200, html]);
      const program = await ask(path);
      expect([program.status, program.headers.get('content-type')]).toEqual([
        404,
        'application/problem+json; charset=utf-8',
      ]);
    }
    expect((await ask('/api/nowhere', { Accept: 'text/html' })).status).toBe(401);
    expect((await ask('/assets/none.js', { Accept: 'text/html' })).status).toBe(404);
  });

  test('has a policy that lets nothing in from elsewhere, and no script or style in the HTML', async () => {
    const answer = await ask('/');
    const policy = answer.headers.get('content-security-policy') ?? '';
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("require-trusted-types-for 'script'");
    expect(policy).not.toMatch(/unsafe|https?:|\*|data:/);
    expect(answer.headers.get('x-content-type-options')).toBe('nosniff');
    expect(await answer.text()).not.toMatch(/<style|style=|<script(?![^>]*\ssrc=)|\son\w+=/);
  });

  test('is kept by browsers: its files for ever, and itself for as long as it has not changed', async () => {
    const index = await ask('/', { 'Accept-Encoding': 'gzip' });
    expect(index.headers.get('cache-control')).toBe('no-cache');
    const tag = index.headers.get('etag') ?? '';
    const again = await server.as().get('/').set('Accept-Encoding', 'gzip').set('If-None-Match', tag).expect(304);
    expect(again.text).toBe('');
    const names = namesIn(await index.text());
    expect(names.map((name) => name.replace(/-[A-Z0-9]{8}/, '')).sort()).toEqual(
      expect.arrayContaining(['/assets/first-requests.js', '/assets/icon.svg', '/assets/main.css', '/assets/main.js']),
    );
    // Scripts import others, and the first one of them names those that a view will need.
    const files = new Set(names);
    for (const name of files) {
      const asset = await ask(name);
      expect(asset.status).toBe(200);
      expect(asset.headers.get('cache-control')).toBe('public, max-age=31536000, immutable');
      expect(name).toMatch(/-[A-Z0-9]{8}\./);
      if (!name.endsWith('.js')) continue;
      const script = await asset.text();
      for (const [, other = ''] of script.matchAll(/["'](?:\.|\/assets)\/([\w-]+\.js)["']/g))
        files.add(`/assets/${other}`);
    }
    expect([...files].some((name) => name.includes('/operators-'))).toBe(true);
  });

  test('comes compressed as the browser wants it, each coding with an ETag of its own', async () => {
    const [name = ''] = namesIn(await (await ask('/')).text()).filter((each) => each.endsWith('.js'));
    const plain = await ask(name, { 'Accept-Encoding': 'identity' });
    const script = await plain.text();
    expect(plain.headers.get('content-encoding')).toBeNull();
    const tags = new Set([plain.headers.get('etag')]);
    for (const coding of ['gzip', 'br']) {
      const answer = await ask(name, { 'Accept-Encoding': coding });
      expect(answer.headers.get('content-encoding')).toBe(coding);
      // fetch has decoded it.
      expect(await answer.text()).toBe(script);
      tags.add(answer.headers.get('etag'));
    }
    expect(tags.size).toBe(3);
    const head = await fetch(`${server.url}${name}`, { method: 'HEAD', headers: { 'Accept-Encoding': 'gzip' } });
    expect(Number(head.headers.get('content-length'))).toBeLessThan(script.length / 2);
  });
});
