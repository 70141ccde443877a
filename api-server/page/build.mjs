/**
 * Bundles the page into a folder: `index.html`, and files whose names have the digest of their content. Each lies there as gzip and
 * Brotli, too, so that nothing is compressed while a browser waits.
 *
 *   node api-server/page/build.mjs dist/page
 */
import { mkdir, readFile, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { build } from 'esbuild';

const SOURCES = dirname(fileURLToPath(import.meta.url));
const BROWSERS = ['chrome111', 'firefox113', 'safari16.4'];

/** Which views come as a script of their own, by a pattern of their paths. */
const VIEWS = {
  '^/(collections|documents)/': 'explore/views.ts',
  '^/docsets(/[^/]+)?$': 'docsets/views.ts',
  '^/(dumps|docsets/[^/]+/dump)$': 'dumps/views.ts',
  '^/operators$': 'operators/operators.tsx',
};
const OPTIONS = {
  bundle: true,
  minify: true,
  target: BROWSERS,
  legalComments: 'none',
  entryNames: '[name]-[hash]',
  chunkNames: '[name]-[hash]',
  write: false,
  metafile: true,
};

/** @param {string} folder What an earlier build left in it is removed. */
async function buildPage(folder) {
  const main = await build({
    ...OPTIONS,
    entryPoints: [join(SOURCES, 'main.tsx'), join(SOURCES, 'icon.svg')],
    format: 'esm',
    splitting: true,
    jsx: 'automatic',
    jsxImportSource: 'preact',
    loader: { '.svg': 'copy' },
    outdir: folder,
    define: { 'process.env.NODE_ENV': '"production"' },
  });
  const scripts = Object.entries(VIEWS).map(([pattern, view]) => [pattern, scriptsOf(main.metafile, view)]);
  const first = await build({
    ...OPTIONS,
    entryPoints: [join(SOURCES, 'early/first-requests.ts')],
    format: 'iife',
    outdir: folder,
    define: { SCRIPTS: JSON.stringify(scripts) },
  });
  const assets = [...main.outputFiles, ...first.outputFiles].map(({ path, contents }) => ({
    name: basename(path),
    contents,
  }));
  await mkdir(folder, { recursive: true });
  for (const { name, contents } of assets) await writeCompressed(folder, name, contents);
  const template = await readFile(join(SOURCES, 'index.html'), 'utf8');
  const html = template
    .replace(/\{\{([\w-]+)\.(\w+)\}\}/g, (_, name, extension) => {
      const asset = assets.find((each) => each.name.startsWith(`${name}-`) && each.name.endsWith(`.${extension}`));
      if (asset === undefined) throw new Error(`index.html names ${name}.${extension}, which was not built`);
      return `/assets/${asset.name}`;
    })
    .replace('{{imports of main.js}}', () =>
      scriptsOf(main.metafile, 'main.tsx')
        .slice(1)
        .map((path) => `<link rel="modulepreload" href="${path}" />`)
        .join('\n    '),
    );
  // It names the others.
  await writeCompressed(folder, 'index.html', Buffer.from(html));
  const built = new Set([...assets.map(({ name }) => name), 'index.html']);
  const old = (await readdir(folder)).filter((name) => !built.has(name.replace(/\.(gz|br)$/, '')));
  await Promise.all(
    old.filter((name) => !name.endsWith('.tmp')).map((name) => rm(join(folder, name), { force: true })),
  );
}

/** Paths of the script that a source became, first, and of those that it imports. */
function scriptsOf({ outputs }, source) {
  const [path] = Object.entries(outputs).find(([, { entryPoint }]) => entryPoint?.endsWith(`page/${source}`)) ?? [];
  if (path === undefined) throw new Error(`${source} is no script of its own`);
  const found = new Set([path]);
  for (const each of found) {
    for (const { path: imported, kind } of outputs[each].imports) if (kind === 'import-statement') found.add(imported);
  }
  return [...found].map((each) => `/assets/${basename(each)}`);
}

async function writeCompressed(folder, name, contents) {
  await writeWhole(join(folder, `${name}.gz`), gzipSync(contents, { level: 9 }));
  await writeWhole(join(folder, `${name}.br`), brotliCompressSync(contents));
  await writeWhole(join(folder, name), contents);
}

/** A reader sees the old file or the new one. */
async function writeWhole(path, contents) {
  await writeFile(`${path}.${process.pid}.tmp`, contents);
  await rename(`${path}.${process.pid}.tmp`, path);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const folder = process.argv[2];
  if (folder === undefined) throw new Error('Say into which folder.');
  await buildPage(folder);
}
