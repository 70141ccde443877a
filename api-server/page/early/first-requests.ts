/**
 * Runs in the head, before the page's own script has come: asks what the first view will ask, and for the scripts that it needs, so that
 * nothing waits for something else. Without it, all is the same but slower.
 */
import type { Early } from '../foundation/early.js';
import { KEY } from '../foundation/key.js';

/** Which scripts a view needs beside the page's own, by a pattern of its path: the build fills it in. */
declare const SCRIPTS: readonly (readonly [pattern: string, scripts: readonly string[]])[];

const key = sessionStorage.getItem(KEY);
const { pathname } = location;
if (key !== null) {
  const scripts = SCRIPTS.find(([pattern]) => new RegExp(pattern).test(pathname))?.[1] ?? [];
  for (const href of scripts) {
    document.head.append(Object.assign(document.createElement('link'), { rel: 'modulepreload', href }));
  }
  const resource =
    pathname === '/' ? '/collections' : /^\/(?:collections|documents|docsets)\/[\w-]+$/.exec(pathname)?.[0];
  const early: Early = {};
  for (const each of resource === undefined ? ['/me'] : [resource, '/me']) {
    const answer = fetch(`/api${each}`, { headers: { 'X-API-Key': key } });
    // Whoever takes it is told of its failure.
    answer.catch(() => undefined);
    early[`/api${each}`] = answer;
  }
  globalThis.aditEarly = early;
}
