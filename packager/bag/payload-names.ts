/** Paths in a bag. */
import { createSafeNamer, type SafeNamer } from './safe-names.js';

export type PayloadNames = SafeNamer;

export const createPayloadNames = (): PayloadNames => createSafeNamer();

/** Everything in an archive lies in one folder. */
export const topFolder = (docset: string): string => `docset-${docset}/`;

/** Below the top folder. `meta` is JSON, unless a format of that name is wanted too. */
export function payloadPath(name: string, format: string, formats: readonly string[]): string {
  const extension = format === 'meta' && !formats.includes('json') ? 'json' : format;
  return `data/${name}.${extension}`;
}
