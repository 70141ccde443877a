/** From a docset or a query to a verified archive on the disk, going on where an earlier run was interrupted. */
import { dumpStateFile } from './dump-state.js';
import { RefusedError } from './errors.js';
import { refuseUnwritable } from './files.js';
import type { DumpStatus, DumpWish, MinerClient, NewDocset } from './miner-client.js';
import { isInTheWay, saveArchive, type SaveArchiveOptions, type SavedArchive } from './save-archive.js';

/** What to have in the archive: a docset, or one that is made first. */
export interface ArchiveWish extends DumpWish {
  docset: string | NewDocset;
}

export interface SaveDumpOptions extends SaveArchiveOptions {
  /** Told the docset, where one was made. */
  onDocset?: ((docset: string) => void) | undefined;
  onStatus?: ((status: DumpStatus) => void) | undefined;
}

export interface SavedDump extends SavedArchive {
  docset: string;
  status: DumpStatus;
}

/**
 * Makes the docset where one is to be made, asks for the dump, polls it, saves the archive. Called again with the same wish after
 * an interruption, it goes on with the same docset and the same dump, which the server keeps, and with the bytes that are there.
 * @throws {DumpError | RefusedError | UnreachableError}
 */
export async function saveDump(
  client: MinerClient,
  wish: ArchiveWish,
  file: string,
  options: SaveDumpOptions = {},
): Promise<SavedDump> {
  const memory = dumpStateFile(file);
  const isThere = await refuseUnwritable(file);
  const docset = typeof wish.docset === 'string' ? wish.docset : await docsetOf(wish.docset);
  const status = await finishedDump();
  return { ...(await saveArchive(client, status, file, options)), docset, status };

  /** The one that an interrupted run made, or a new one. */
  async function docsetOf(wanted: NewDocset): Promise<string> {
    const text = JSON.stringify(wanted);
    const { made } = await memory.read();
    if (made?.url === client.url && made.wish === text) return made.docset;
    const { id } = await client.createDocset(wanted);
    await memory.remember({ made: { url: client.url, wish: text, docset: id } });
    options.onDocset?.(id);
    return id;
  }

  async function finishedDump(): Promise<DumpStatus> {
    try {
      const asked = await client.requestDump(docset, wish);
      // Nothing to compare it with yet: that is no reason to let somebody wait, only to hear of the file at the end.
      if (!asked.status.done && isThere && options.overwrite !== true) throw isInTheWay(file);
      return await client.awaitDump(asked, options.onStatus);
    } catch (error) {
      // What is remembered of a docset that is gone would stand in the way for ever.
      if (error instanceof RefusedError && error.slug === 'docset-not-found')
        await memory.remember({ made: undefined });
      throw error;
    }
  }
}
