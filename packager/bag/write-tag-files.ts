/** Makes the tag files of a bag in one reading of its documents, ready to be copied into the archive. */
import type { Docset, Withdrawn } from '../source/members.js';
import { createTextDeflater, type TextFacts } from './deflate-text.js';
import type { BagCounts } from './outcomes.js';
import {
  BAGIT_TXT,
  DOCUMENTS_AT_ONCE,
  WITHDRAWN,
  bagInfo,
  lineFiles,
  manifestLine,
  type DocumentOutcome,
} from './tag-files.js';

export interface TagFile extends TextFacts {
  /** Path below the bag's top folder. */
  name: string;
  /** What is to be stored; undefined for lines of documents that were too many to keep, and have to be made once more. */
  pieces: readonly Buffer[] | undefined;
}

export interface TagFileWriter {
  /** The next documents, with the outcome of each of their files. A promise where there is something to wait for. */
  add(documents: readonly DocumentOutcome[]): Promise<void> | undefined;
  /** The next document that was withdrawn. */
  addWithdrawn(document: Withdrawn): Promise<void> | undefined;
  finish(docset: Docset, counts: BagCounts): Promise<TagFile[]>;
}

/** Of the lines of documents in all tag files together, as they will be stored. */
const KEPT_BYTES = 8 * 1024 * 1024;

export function createTagFileWriter(
  url: URL,
  formats: readonly string[],
  { keptBytes = KEPT_BYTES }: { keptBytes?: number } = {},
): TagFileWriter {
  let room = keptBytes;
  const openFile = (name: string, head: string, mayBeDropped: boolean) => {
    let pieces: Buffer[] | undefined = [];
    const deflater = createTextDeflater((piece) => {
      if (pieces === undefined) return;
      // A copy: what deflate hands out lies in a larger Buffer.
      pieces.push(Buffer.from(piece));
      if (!mayBeDropped) return;
      room -= piece.length;
      if (room >= 0) return;
      for (const { length } of pieces) room += length;
      pieces = undefined;
    });
    void deflater.write(head);
    return {
      write: (text: string) => deflater.write(text),
      end: async (): Promise<TagFile> => ({ name, ...(await deflater.end()), pieces }),
    };
  };
  const lined = lineFiles(formats).map((file) => ({ ...file, ...openFile(file.name, file.head, true) }));
  let withdrawnFile: ReturnType<typeof openFile> | undefined;
  let withdrawn: Withdrawn[] = [];
  const writeWithdrawn = (): Promise<void> | undefined => {
    const text = WITHDRAWN.linesOf(withdrawn);
    withdrawn = [];
    withdrawnFile ??= openFile(WITHDRAWN.name, WITHDRAWN.head, true);
    return withdrawnFile.write(text);
  };
  const endWithdrawn = async (): Promise<TagFile[]> => {
    await writeWithdrawn();
    return withdrawnFile === undefined ? [] : [await withdrawnFile.end()];
  };

  return {
    add(documents) {
      const waits: Promise<void>[] = [];
      for (const file of lined) {
        const wait = file.write(file.linesOf(documents));
        if (wait !== undefined) waits.push(wait);
      }
      return waits.length === 0 ? undefined : Promise.all(waits).then(() => undefined);
    },
    addWithdrawn(document) {
      withdrawn.push(document);
      return withdrawn.length < DOCUMENTS_AT_ONCE ? undefined : writeWithdrawn();
    },
    async finish(docset, counts) {
      const files = [
        await openFile('bagit.txt', BAGIT_TXT, false).end(),
        ...(await Promise.all(lined.map((file) => file.end()))),
        ...(docset.since === undefined ? [] : await endWithdrawn()),
        await openFile('bag-info.txt', bagInfo(docset, url, formats, counts), false).end(),
      ];
      const lines = [...files]
        .sort((a, b) => (a.name < b.name ? -1 : 1))
        .map(({ name, sha256 }) => manifestLine(sha256, name));
      return [...files, await openFile('tagmanifest-sha256.txt', lines.join(''), false).end()];
    },
  };
}
