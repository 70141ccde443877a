/** Knows a bag before its payload was touched: its tag files, and the length of its zip. */
import type { Docset, Member, Withdrawn } from '../source/members.js';
import { isStored } from '../source/members.js';
import { createZipLength } from '../zip/zip-length.js';
import { createOutcomes, type BagCounts, type FileOutcome } from './outcomes.js';
import { EMPTY_FOLDER, PAYLOAD_FOLDER, payloadPath, topFolder } from './payload-names.js';
import { createSafeNamer, type SafeNames } from './safe-names.js';
import { DOCUMENTS_AT_ONCE, type DocumentOutcome } from './tag-files.js';
import { createTagFileWriter, type TagFile } from './write-tag-files.js';

export interface BagPlan {
  /** Names of the documents, from the first, each time it is called. */
  names: () => SafeNames;
  /** Those of a bag that lacks none of the files that are listed. */
  counts: BagCounts;
  /** For exactly these counts; undefined where the listing does not say enough. */
  tagFiles: TagFile[] | undefined;
  /** Of the zip, should nothing be omitted on the way; undefined where some size is not listed. */
  length: PlannedLength | undefined;
}

export interface PlannedLength {
  bytes: number;
  /** False: it may become shorter, where files are still to be deflated. */
  isExact: boolean;
}

export interface BagPlanner {
  /** The next member of the listing. A promise where there is something to wait for. */
  add(member: Member): Promise<void> | undefined;
  /** The next document that was withdrawn. */
  addWithdrawn(document: Withdrawn): Promise<void> | undefined;
  finish(docset: Docset): Promise<BagPlan>;
}

export interface PlanRequest {
  /** The docset's id, for the top folder. */
  docset: string;
  formats: readonly string[];
  /** URL of the docset. */
  url: URL;
}

export function createBagPlanner({ docset, formats, url }: PlanRequest): BagPlanner {
  const top = topFolder(docset);
  const names = createSafeNamer();
  const outcomes = createOutcomes();
  const length = createZipLength();
  const writer = createTagFileWriter(url, formats);
  // What every file of the listing has to say of itself.
  const isListed = { digests: true, sizes: true, lengths: true };

  let documents: DocumentOutcome[] = [];
  const write = (): Promise<void> | undefined => {
    const some = documents;
    documents = [];
    return writer.add(some);
  };
  const addFile = (member: Member, format: string, path: string): FileOutcome => {
    const file = member.files[format];
    if (file === undefined) {
      outcomes.omitted('missing');
      return { type: 'omitted', reason: 'missing' };
    }
    const { size = 0, sha256 = '' } = file;
    isListed.digests &&= file.sha256 !== undefined;
    isListed.sizes &&= file.size !== undefined;
    isListed.lengths &&= isStored(file);
    // What is still to be deflated takes no more than its own length.
    length.add({ name: `${top}${path}`, size, stored: isStored(file) ? file.stored.length : size });
    outcomes.packed(size, sha256, true);
    return { type: 'packed', sha256 };
  };

  return {
    add(member) {
      const name = names.next(member.ref);
      const files = formats.map((format) => {
        const path = payloadPath(name, format, formats);
        return { format, path, outcome: addFile(member, format, path) };
      });
      outcomes.endDocument();
      if (!isListed.digests) return undefined;
      documents.push({ member, files });
      return documents.length < DOCUMENTS_AT_ONCE ? undefined : write();
    },
    addWithdrawn: (document) => (isListed.digests ? writer.addWithdrawn(document) : undefined),
    async finish(listedDocset) {
      const { counts } = outcomes;
      await write();
      if (counts.files.packed === 0) length.add({ ...EMPTY_FOLDER, name: `${top}${PAYLOAD_FOLDER}` });
      const tagFiles = await writer.finish(listedDocset, counts);
      const known = { names: () => names.again(), counts };
      if (!isListed.digests || !isListed.sizes) return { ...known, tagFiles: undefined, length: undefined };
      for (const file of tagFiles) length.add({ ...file, name: `${top}${file.name}` });
      return { ...known, tagFiles, length: { bytes: length.total(), isExact: isListed.lengths } };
    },
  };
}
