/** What the api-server needs of the store in which packagers put archives: to look, and to hand out links. */
import { CONTAINERS, DEFAULT_CONTAINER, MEDIA_TYPES } from '../../../queue-config/index.js';

export interface ArchiveLinks {
  /** The text of a small object; undefined where there is none. */
  readText(key: string): Promise<string | undefined>;
  /** True where an object of this size is there. */
  has(archive: { key: string; size: number }): Promise<boolean>;
  /**
   * A URL that anyone may GET for a short while (15 minutes), with ranges.
   * @param origin where the client found us, such as `http://server:3000`; for links that lead back here
   */
  sign(archive: { key: string; sha256: string; filename: string }, origin: string): Promise<string>;
}

/** The store cannot be reached or refuses us. */
export class ArchiveStoreError extends Error {
  override readonly name = 'ArchiveStoreError';
}

/** The media type of an archive, by its file's name. */
export const mediaTypeOf = (filename: string): string =>
  MEDIA_TYPES[CONTAINERS.find((container) => filename.endsWith(`.${container}`)) ?? DEFAULT_CONTAINER];

/** How long a signed link is good, in seconds. */
export const LINK_LIFETIME = 900;
