/** Paths in a bag. */

/** RFC 8493, section 2.1: "The payload directory MUST" be there, also where nothing is in it: then it is an entry of its own. */
export const PAYLOAD_FOLDER = 'data/';

/** What a header says of a folder. */
export const EMPTY_FOLDER = { size: 0, stored: 0, crc32: 0, method: 'store' } as const;

/** Everything in an archive lies in one folder. */
export const topFolder = (docset: string): string => `docset-${docset}/`;

/** Below the top folder. `meta` is JSON, unless a format of that name is wanted too. */
export function payloadPath(name: string, format: string, formats: readonly string[]): string {
  const extension = format === 'meta' && !formats.includes('json') ? 'json' : format;
  return `${PAYLOAD_FOLDER}${name}.${extension}`;
}
