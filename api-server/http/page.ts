/** The page for people, at `/` and wherever else in it a browser asks for HTML. No key is needed: it asks for one itself. */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import express, { type Request, type Response, type Router } from 'express';
import { strictPolicy } from './security-headers.js';

interface Asset {
  type: string;
  /** Of the bytes as they are, in quotes; each coding has one of its own. */
  tag: string;
  bytes: Record<Coding, Buffer>;
}

const CODINGS = ['br', 'gzip', 'identity'] as const;
type Coding = (typeof CODINGS)[number];
const ENDINGS: Readonly<Record<Coding, string>> = { br: '.br', gzip: '.gz', identity: '' };

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
};

/** `dist/page`: from the build, and from the sources. */
const FOLDERS = ['../../page/', '../../dist/page/'].map((path) => fileURLToPath(new URL(path, import.meta.url)));

/** Where the page was not built, as in a fresh checkout, `/` leads to the description of the API. */
export function page(): Router {
  const folder = FOLDERS.find((each) => existsSync(`${each}index.html`));
  const router = express.Router();
  if (folder === undefined) {
    router.get('/', (_request, response) => response.redirect('/docs'));
    return router;
  }
  const index = readAsset(folder, 'index.html');
  const assets = new Map(
    readdirSync(folder)
      .filter((name) => name !== 'index.html' && extname(name) in TYPES)
      .map((name) => [name, readAsset(folder, name)]),
  );
  router.get('/assets/:name', (request, response, next) => {
    const asset = assets.get(request.params.name);
    // Its name has the digest of what is in it.
    if (asset === undefined) next();
    else send(request, response, asset, 'public, max-age=31536000, immutable');
  });
  router.get(/^\/(?!api(\/|$)|assets\/)/, (request, response, next) => {
    // Programs that ask for any type are told that there is nothing at other paths.
    if (request.path !== '/' && request.accepts(['json', 'html']) !== 'html') next();
    else send(request, response, index, 'no-cache');
  });
  return router;
}

function readAsset(folder: string, name: string): Asset {
  const bytes = Object.fromEntries(
    CODINGS.map((coding) => [coding, readFileSync(`${folder}${name}${ENDINGS[coding]}`)]),
  ) as Asset['bytes'];
  const digest = createHash('sha256').update(bytes.identity).digest('base64url').slice(0, 22);
  return { type: TYPES[extname(name)] ?? 'application/octet-stream', tag: digest, bytes };
}

function send(request: Request, response: Response, { type, tag, bytes }: Asset, cacheControl: string): void {
  const accepted = request.acceptsEncodings([...CODINGS]);
  const coding = CODINGS.find((each) => each === accepted) ?? 'identity';
  response.set({
    'Content-Security-Policy': strictPolicy,
    'Content-Type': type,
    'Cache-Control': cacheControl,
    ETag: `"${tag}${ENDINGS[coding]}"`,
    Vary: 'Accept, Accept-Encoding',
  });
  if (request.fresh) {
    response.status(304).end();
    return;
  }
  if (coding !== 'identity') response.set('Content-Encoding', coding);
  response
    .set('Content-Length', String(bytes[coding].length))
    .end(request.method === 'HEAD' ? undefined : bytes[coding]);
}
