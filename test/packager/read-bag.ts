/** Reads a bag out of a zip and checks it by its own reckoning, with none of the packager's code (RFC 8493). */
import { createHash } from 'node:crypto';
import { fromBufferPromise, type Entry } from 'yauzl';

export interface ReadBag {
  top: string;
  /** Content by path below the top folder. */
  files: Map<string, Buffer>;
  entries: Entry[];
}

export async function readZip(zip: Buffer): Promise<{ name: string; entry: Entry; content: Buffer }[]> {
  const file = await fromBufferPromise(zip, { lazyEntries: true, strictFileNames: true });
  const found: { name: string; entry: Entry; content: Buffer }[] = [];
  for await (const entry of file.eachEntry()) {
    const pieces: Buffer[] = [];
    for await (const piece of await file.openReadStreamPromise(entry)) pieces.push(piece as Buffer);
    found.push({ name: entry.fileName, entry, content: Buffer.concat(pieces) });
  }
  return found;
}

/** @throws {Error} naming what makes the bag invalid */
export async function readBag(zip: Buffer): Promise<ReadBag> {
  const found = await readZip(zip);
  const tops = new Set(found.map(({ name }) => name.slice(0, name.indexOf('/') + 1)));
  const [top = ''] = tops;
  if (tops.size !== 1 || top === '') throw new Error(`not one top folder: ${[...tops].join(' ')}`);
  const files = new Map(found.map(({ name, content }) => [name.slice(top.length), content]));
  if (files.size !== found.length) throw new Error('two entries have one name');
  expectText(files, 'bagit.txt', /^BagIt-Version: 1\.0\nTag-File-Character-Encoding: UTF-8\n$/);
  const payload = [...files.keys()].filter((path) => path.startsWith('data/') && path !== 'data/');
  if (payload.length === 0 && !files.has('data/')) throw new Error('there is no payload directory');
  const tags = [...files.keys()].filter((path) => !path.startsWith('data/') && !path.startsWith('tagmanifest-'));
  checkManifest(files, 'manifest-sha256.txt', payload);
  checkManifest(files, 'tagmanifest-sha256.txt', tags);
  const octets = payload.reduce((sum, path) => sum + (files.get(path)?.length ?? 0), 0);
  expectText(files, 'bag-info.txt', new RegExp(`^Payload-Oxum: ${octets}\\.${payload.length}$`, 'm'));
  return { top, files, entries: found.map(({ entry }) => entry) };
}

export const textOf = (bag: ReadBag, path: string): string => bag.files.get(path)?.toString() ?? `(no ${path})`;

function expectText(files: Map<string, Buffer>, path: string, pattern: RegExp): void {
  const text = files.get(path)?.toString() ?? '';
  if (!pattern.test(text)) throw new Error(`${path} does not match ${String(pattern)}: ${text}`);
}

function checkManifest(files: Map<string, Buffer>, manifest: string, expected: string[]): void {
  const text = files.get(manifest)?.toString();
  if (text === undefined) throw new Error(`there is no ${manifest}`);
  const listed = text
    .split('\n')
    .filter(Boolean)
    .map((line) => /^([0-9a-f]{64}) {2}(.+)$/.exec(line));
  for (const match of listed) {
    if (match === null) throw new Error(`a line of ${manifest} is malformed`);
    const path = (match[2] ?? '').replace(/%0D/gi, '\r').replace(/%0A/gi, '\n').replace(/%25/g, '%');
    const content = files.get(path);
    if (content === undefined) throw new Error(`${manifest} lists ${path}, which is not there`);
    const actual = createHash('sha256').update(content).digest('hex');
    if (actual !== match[1]) throw new Error(`${manifest} has another digest for ${path}`);
  }
  if (listed.length !== expected.length)
    throw new Error(`${manifest} lists ${listed.length} of ${expected.length} files`);
}
