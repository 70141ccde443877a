/** `manifest.json`: what a packager writes last, so that losing the queue loses no result (design §1 and §4). */
import { z } from 'zod';
import { PHASES, UnreadableMessageError } from './messages.js';

const count = z.number().int().nonnegative();

const dumpManifest = z.object({
  version: z.literal(1),
  dump: z.string(),
  attempt: count,
  run: count,
  docset: z.string(),
  formats: z.array(z.string()).min(1),
  archive: z.object({ key: z.string(), size: count, sha256: z.string().regex(/^[0-9a-f]{64}$/) }),
  /** In documents; one that lacks any of its files is counted as omitted. `requested = packed + omitted`. */
  counts: z.object({ requested: count, packed: count, omitted: count }),
  /** In files, a document times a format. `requested = packed + omitted`. */
  files: z.object({ requested: count, packed: count, omitted: count }),
  timeline: z.array(z.object({ phase: z.enum(PHASES), started: z.iso.datetime(), ended: z.iso.datetime().optional() })),
  completed: z.iso.datetime(),
  /** The name of the packager that made it. */
  packager: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9._/-]{0,127}$/)
    .optional()
    .catch(undefined),
});

export type DumpManifest = z.infer<typeof dumpManifest>;

/** Key of the manifest of one attempt, whose key prefix ends in `/`. */
export const manifestKey = (attemptPrefix: string): string => `${attemptPrefix}manifest.json`;

/** The manifest as text. */
export function encodeManifest(manifest: DumpManifest): string {
  return JSON.stringify(dumpManifest.parse(manifest), null, 2);
}

/** @throws {UnreadableMessageError} saying which field is wrong */
export function decodeManifest(text: string): DumpManifest {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new UnreadableMessageError('manifest.json is not JSON', { cause });
  }
  const result = dumpManifest.safeParse(value);
  if (!result.success) throw new UnreadableMessageError(`manifest.json: ${z.prettifyError(result.error)}`);
  return result.data;
}
