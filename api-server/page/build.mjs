/**
 * Bundles the page into a folder: `index.html`, and files whose names have the digest of their content. Each lies there as gzip and
 * Brotli, too, so that nothing is compressed while a browser waits.
 *
 *   node api-server/page/build.mjs dist/page
 */
import { mkdir, readFile, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { build } from 'esbuild';

const SOURCES = dirname(fileURLToPath(import.meta.url));
const BROWSERS = ['chrome111', 'firefox113', 'safari16.4'];

/** @param {string} folder What an earlier build left in it is removed. */
async function buildPage(folder) {
  const { outputFiles } = await build({
    entryPoints: [join(SOURCES, 'main.tsx'), join(SOURCES, 'icon.svg')],
    bundle: true,
    minify: true,
    format: 'esm',
    target: BROWSERS,
    legalComments: 'none',
    jsx: 'automatic',
    jsxImportSource: 'preact',
    loader: { '.svg': 'copy' },
    entryNames: '[name]-[hash]',
    outdir: folder,
    define: { 'process.env.NODE_ENV': '"production"' },
    write: false,
  });
  const assets = outputFiles.map(({ path, contents }) => ({ name: path.slice(path.lastIndexOf('/') + 1), contents }));
  await mkdir(folder, { recursive: true });
  for (const { name, contents } of assets) await writeCompressed(folder, name, contents);
  const template = await readFile(join(SOURCES, 'index.html'), 'utf8');
  const html = template.replace(/\{\{(\w+)\.(\w+)\}\}/g, (_, name, extension) => {
    const asset = assets.find((each) => each.name.startsWith(`${name}-`) && each.name.endsWith(`.${extension}`));
    if (asset === undefined) throw new Error(`index.html names ${name}.${extension}, which was not built`);
    return `/assets/${asset.name}`;
  });
  // It names the others.
  await writeCompressed(folder, 'index.html', Buffer.from(html));
  const built = new Set([...assets.map(({ name }) => name), 'index.html']);
  const old = (await readdir(folder)).filter((name) => !built.has(name.replace(/\.(gz|br)$/, '')));
  await Promise.all(
    old.filter((name) => !name.endsWith('.tmp')).map((name) => rm(join(folder, name), { force: true })),
  );
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
