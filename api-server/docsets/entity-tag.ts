/** Conditional requests: the members of a docset never change, and its revision says when its name has. */
import { createHash } from 'node:crypto';
import type { Request } from 'express';
import { isKnown } from '../documents/byte-range.js';
import type { Answer } from '../http/route.js';
import type { Docset } from './docsets.js';

/** To be raised when the same docset is written in another way than before. */
const WRITING = 1;

/** Headers of a representation; `variant` is all that tells it from the others of the docset. Its ETag is strong. */
export function validatorsOf(
  { id, revision }: Docset,
  variant: readonly string[],
): Record<'ETag', string> & Record<string, string> {
  const digest = createHash('sha256')
    .update(JSON.stringify([WRITING, id, revision, variant]))
    .digest('base64url');
  return {
    ETag: `"${digest.slice(0, 27)}"`,
    // Kept by a browser, but asked about each time: the key may have been revoked.
    'Cache-Control': 'private, no-cache',
    Vary: 'Accept',
  };
}

/** 304, where the client has it. */
export function knownAnswer(request: Request, validators: Record<'ETag', string>): Answer | undefined {
  return isKnown(request, validators.ETag) ? { status: 304, headers: validators } : undefined;
}
