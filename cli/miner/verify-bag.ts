/** Verifies a downloaded archive: every file of the bag against its checksum (RFC 8493 §3), a million of them in little memory. */
import { createHash, type Hash } from 'node:crypto';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { finished } from 'node:stream/promises';
import { filesOf } from './archive-files.js';
import { createTally, partOf } from './tally.js';

export interface BagReport {
  /** Folder that everything is in. */
  folder: string;
  /** Payload files, by extension. */
  payload: Record<string, number>;
  /** Checksums that were compared. */
  verified: number;
  /** Bytes of all files, unpacked. */
  bytes: number;
  /** `bag-info.txt` as it is. */
  info: string;
}

const MANIFEST = 'manifest-sha256.txt';
const TAG_MANIFEST = 'tagmanifest-sha256.txt';
const MANIFESTS = [MANIFEST, TAG_MANIFEST] as const;
type Manifest = (typeof MANIFESTS)[number];

/** Told what is read of a bag; names are those within its folder. */
interface BagReader {
  onFile(name: string, sha256: string): void;
  onLine(manifest: Manifest, name: string, sha256: string): void;
}

/**
 * Reads every file in the archive, and compares payload and tag manifests with it, both ways.
 * @throws {Error} naming a file that is wrong, missing or not listed
 */
export async function verifyBag(archive: string): Promise<BagReport> {
  const payload: Record<string, number> = {};
  const found = { [MANIFEST]: createTally(), [TAG_MANIFEST]: createTally() };
  const listed = { [MANIFEST]: createTally(), [TAG_MANIFEST]: createTally() };
  const names = new Set<string>();
  const facts = await readBag(archive, {
    onLine: (manifest, name, sha256) => listed[manifest].add(name, sha256),
    onFile(name, sha256) {
      if (!isPayload(name)) names.add(name);
      if (name === TAG_MANIFEST) return;
      found[manifestOf(name)].add(name, sha256);
      if (!isPayload(name)) return;
      const extension = name.slice(name.lastIndexOf('.') + 1);
      payload[extension] = (payload[extension] ?? 0) + 1;
    },
  });
  for (const needed of ['bagit.txt', ...MANIFESTS]) {
    if (!names.has(needed)) throw new Error(`The archive has no ${needed}.`);
  }
  for (const manifest of MANIFESTS) {
    const part = found[manifest].difference(listed[manifest]);
    if (part !== undefined) throw new Error(await tellDifference(archive, manifest, part));
  }
  return { ...facts, payload, verified: found[MANIFEST].count() + found[TAG_MANIFEST].count() };
}

/** Reads all of it once more to say what is wrong, holding only the names of the part in which something is. */
async function tellDifference(archive: string, manifest: Manifest, part: number): Promise<string> {
  const listed = new Map<string, string>();
  const found: [string, string][] = [];
  await readBag(archive, {
    onLine(of, name, sha256) {
      if (of === manifest && partOf(name) === part) listed.set(name, sha256);
    },
    onFile(name, sha256) {
      if (name !== TAG_MANIFEST && manifestOf(name) === manifest && partOf(name) === part) found.push([name, sha256]);
    },
  });
  for (const [name, sha256] of found) {
    const digest = listed.get(name);
    if (digest === undefined) return `${name} is not in ${manifest}, or twice in the archive.`;
    if (digest !== sha256) return `${name} does not have the checksum that ${manifest} gives.`;
    listed.delete(name);
  }
  const [missing = 'A file'] = listed.keys();
  return `${missing} is in ${manifest}, but not in the archive.`;
}

async function readBag(archive: string, reader: BagReader): Promise<Pick<BagReport, 'folder' | 'bytes' | 'info'>> {
  let folder: string | undefined;
  let bytes = 0;
  let info = '';
  for await (const { path, content } of filesOf(archive)) {
    const top = path.slice(0, path.indexOf('/'));
    folder ??= top;
    if (top !== folder || path.includes('/../')) throw new Error(`${path} is not in the folder of the bag.`);
    const name = path.slice(top.length + 1);
    const hash = createHash('sha256');
    const count = (length: number): number => (bytes += length);
    const stream = Readable.from(hashed(content, hash, count), { objectMode: false });
    if (isManifest(name)) {
      for await (const line of linesOf(stream, name)) {
        if (line.trim() !== '') reader.onLine(name, ...checksumOf(line, name));
      }
    } else if (name === 'bag-info.txt') {
      info = (await buffer(stream)).toString('utf8');
    } else {
      await finished(stream.resume());
    }
    reader.onFile(name, hash.digest('hex'));
  }
  return { folder: folder ?? '', bytes, info };
}

async function* hashed(
  source: AsyncIterable<Buffer>,
  hash: Hash,
  count: (bytes: number) => void,
): AsyncGenerator<Buffer> {
  for await (const chunk of source) {
    hash.update(chunk);
    count(chunk.length);
    yield chunk;
  }
}

const LONGEST_LINE = 1 << 16;

async function* linesOf(stream: AsyncIterable<Buffer>, name: string): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of stream) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    if (rest.length > LONGEST_LINE) throw new Error(`${name} has a line that is no checksum.`);
    yield* lines;
  }
  yield rest + decoder.decode();
}

/** @returns the file's name and its digest */
function checksumOf(line: string, manifest: string): [string, string] {
  const [, digest, path] = /^([0-9a-f]{64}) {1,2}(.+?)\r?$/i.exec(line) ?? [];
  if (digest === undefined || path === undefined)
    throw new Error(`${manifest} has a line that is no checksum: ${line}`);
  // RFC 8493 §2.1.3: LF, CR and % in a path are percent-encoded.
  return [path.replace(/%(0A|0D|25)/gi, (code) => decodeURIComponent(code)), digest.toLowerCase()];
}

const isPayload = (name: string): boolean => name.startsWith('data/');
const manifestOf = (name: string): Manifest => (isPayload(name) ? MANIFEST : TAG_MANIFEST);
const isManifest = (name: string): name is Manifest => (MANIFESTS as readonly string[]).includes(name);
