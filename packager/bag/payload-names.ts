/** Paths of the payload below a bag's top folder. */
import { createSafeNamer, type SafeNamer } from './safe-names.js';

export type PayloadNames = SafeNamer;

export const createPayloadNames = (): PayloadNames => createSafeNamer();

/** `meta` is JSON, unless a format of that name is wanted too. */
export function payloadPath(name: string, format: string, formats: readonly string[]): string {
  const extension = format === 'meta' && !formats.includes('json') ? 'json' : format;
  return `data/${name}.${extension}`;
}
