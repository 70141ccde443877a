/** Verifies a downloaded archive: every file of the bag against its checksum (RFC 8493 §3). */
import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { finished } from 'node:stream/promises';
import { openPromise } from 'yauzl';

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

/**
 * Reads every file in the archive, and compares payload and tag manifests with it, both ways.
 * @throws {Error} naming the first file that is wrong, missing or not listed
 */
export async function verifyBag(file: string): Promise<BagReport> {
  const zip = await openPromise(file, { lazyEntries: true, autoClose: false });
  try {
    const digests = new Map<string, string>();
    const tags = new Map<string, string>();
    const payload: Record<string, number> = {};
    let bytes = 0;
    let folder = '';
    for await (const entry of zip.eachEntry()) {
      const name = entry.fileName.slice(entry.fileName.indexOf('/') + 1);
      folder = entry.fileName.slice(0, entry.fileName.indexOf('/'));
      const hash = createHash('sha256');
      const stream = Readable.from(tee(await zip.openReadStreamPromise(entry), hash));
      if (name.startsWith('data/')) {
        await finished(stream.resume());
        const extension = name.slice(name.lastIndexOf('.') + 1);
        payload[extension] = (payload[extension] ?? 0) + 1;
      } else {
        tags.set(name, await text(stream));
      }
      bytes += entry.uncompressedSize;
      digests.set(name, hash.digest('hex'));
    }
    const listed = compare(tags, 'manifest-sha256.txt', digests);
    const tagged = compare(tags, 'tagmanifest-sha256.txt', digests);
    for (const name of digests.keys()) {
      if (name.startsWith('data/') && !listed.has(name)) throw new Error(`${name} is not in manifest-sha256.txt.`);
    }
    return { folder, payload, bytes, verified: listed.size + tagged.size, info: tags.get('bag-info.txt') ?? '' };
  } finally {
    zip.close();
  }
}

/** Names in a manifest, each compared with what was read. */
function compare(tags: Map<string, string>, manifest: string, digests: Map<string, string>): Set<string> {
  const lines = tags.get(manifest);
  if (lines === undefined) throw new Error(`The archive has no ${manifest}.`);
  const names = new Set<string>();
  for (const line of lines.split('\n').filter((text) => text !== '')) {
    const [, digest, path] = /^([0-9a-f]{64}) {1,2}(.+)$/.exec(line) ?? [];
    if (path === undefined) throw new Error(`${manifest} has a line that is no checksum: ${line}`);
    const name = path.replace(/%(0A|0D|25)/gi, (code) => decodeURIComponent(code));
    const found = digests.get(name);
    if (found === undefined) throw new Error(`${name} is in ${manifest}, but not in the archive.`);
    if (found !== digest) throw new Error(`${name} does not have the checksum that ${manifest} gives.`);
    names.add(name);
  }
  return names;
}

async function* tee(source: AsyncIterable<Buffer>, hash: { update(chunk: Buffer): unknown }): AsyncGenerator<Buffer> {
  for await (const chunk of source) {
    hash.update(chunk);
    yield chunk;
  }
}
