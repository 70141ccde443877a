/** Real sources for the tests of `adit ingest`: folders, zips and tars with these files. */
import { createWriteStream } from 'node:fs';
import { mkdir, mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { ZipArchive } from 'archiver';
import { pack } from 'tar-stream';

export type Files = Record<string, string | Buffer>;

export interface Workshop {
  path: string;
  folder(name: string, files: Files): Promise<string>;
  zip(name: string, files: Files): Promise<string>;
  /** Gzipped where the name ends in `gz`. */
  tar(name: string, files: Files): Promise<string>;
  file(name: string, content: string | Buffer): Promise<string>;
  /** A file of so many bytes that takes no room. */
  sparse(name: string, bytes: number): Promise<string>;
  remove(): Promise<void>;
}

export async function openWorkshop(): Promise<Workshop> {
  const path = await mkdtemp(join(tmpdir(), 'adit-test-sources-'));
  const file = async (name: string, content: string | Buffer): Promise<string> => {
    const target = join(path, name);
    await mkdir(dirname(target), { recursive: true });
    await writeFile(target, content);
    return target;
  };
  return {
    path,
    file,
    async folder(name, files) {
      await mkdir(join(path, name), { recursive: true });
      for (const [below, content] of Object.entries(files)) await file(join(name, below), content);
      return join(path, name);
    },
    async zip(name, files) {
      const archive = new ZipArchive({ zlib: { level: 6 } });
      const written = pipeline(archive, createWriteStream(join(path, name)));
      for (const [below, content] of Object.entries(files)) archive.append(content, { name: below });
      await archive.finalize();
      await written;
      return join(path, name);
    },
    async tar(name, files) {
      const archive = pack();
      const output = createWriteStream(join(path, name));
      const written = name.endsWith('gz') ? pipeline(archive, createGzip(), output) : pipeline(archive, output);
      for (const [below, content] of Object.entries(files)) archive.entry({ name: below }, content);
      archive.finalize();
      await written;
      return join(path, name);
    },
    async sparse(name, bytes) {
      const target = await file(name, '');
      await truncate(target, bytes);
      return target;
    },
    remove: () => rm(path, { recursive: true, force: true }),
  };
}
