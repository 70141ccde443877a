/** What a run that was interrupted left for the next one: a small file beside the archive, gone once that is there. */
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { z } from 'zod';
import { unwritable } from './files.js';

const state = z.object({
  /** The docset that was made for a wish (as text) at a service; a run with another wish makes its own. */
  made: z.object({ url: z.string(), wish: z.string(), docset: z.string() }).optional(),
  /** Digest and strong ETag of the archive that the partial file is the beginning of. */
  part: z.object({ sha256: z.string(), etag: z.string() }).optional(),
});

export type DumpState = z.infer<typeof state>;

export interface DumpStateFile {
  /** What was left; nothing where there is no file, or it cannot be read: nothing is lost by starting afresh. */
  read(): Promise<DumpState>;
  /** Keeps one of the two; undefined: no longer. */
  remember(change: Partial<{ [Name in keyof DumpState]: DumpState[Name] | undefined }>): Promise<void>;
  remove(): Promise<void>;
}

/** @param archive path of the archive that is wanted */
export function dumpStateFile(archive: string): DumpStateFile {
  const path = `${archive}.adit.json`;
  const read = async (): Promise<DumpState> => {
    const text = await readFile(path, 'utf8').catch(() => '{}');
    try {
      return state.parse(JSON.parse(text));
    } catch {
      return {};
    }
  };
  return {
    read,
    async remember(change) {
      const wanted = Object.entries({ ...(await read()), ...change }).filter(([, value]) => value !== undefined);
      if (wanted.length === 0) return rm(path, { force: true });
      try {
        await writeFile(`${path}.new`, `${JSON.stringify(Object.fromEntries(wanted), null, 2)}\n`);
        await rename(`${path}.new`, path);
      } catch (error) {
        throw unwritable(path, error);
      }
    },
    remove: () => rm(path, { force: true }),
  };
}
