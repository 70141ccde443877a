/** Reads a range of a segment, from wherever it is to be had: a file of this machine, the api-server, or a store that it names. */
import type { Segment } from './members.js';
import { openSegmentFiles } from './segment-files.js';
import {
  SourceInterruptedError,
  SourceStatusError,
  type ByteRange,
  type SourceAnswer,
  type SourceClient,
  type SourceRedirect,
} from './source-client.js';

/** What became of a range; all but the first are words of `omitted.csv`. */
export type RangeOutcome = 'read' | 'missing' | 'unreadable' | 'corrupt';

export interface SegmentAccess {
  /** Fills `into` from that offset. Tries again as long as the server is busy, and a few times where it cannot read the bytes. */
  read(segment: Segment, offset: number, into: Buffer): Promise<RangeOutcome>;
  /** Closes what is open, once it is read no more. */
  close(): Promise<void>;
}

const READ_TRIES = 4;
/** A link that was signed for a time answers so when that is over, or when its key is. */
const LINK_ENDED = new Set([401, 403, 410]);

export function openSegmentAccess(client: SourceClient, base: URL): SegmentAccess {
  const { contentFolder } = client.resources;
  const files = contentFolder === undefined ? undefined : openSegmentFiles(contentFolder);
  /** Where the api-server sent us for a segment, by its id, until that no longer works. */
  const links = new Map<string, URL>();
  /** Ids of segments that the api-server sends itself. */
  const served = new Set<string>();

  /** Those links that are being asked for: one read asks, others of the same segment wait for what it is told. */
  const asking = new Map<string, Promise<unknown>>();

  const askServer = async ({ id, href }: Segment, range: ByteRange): Promise<SourceAnswer | SourceRedirect> => {
    for (let asked = asking.get(id); asked !== undefined; asked = asking.get(id)) {
      await asked;
      const location = links.get(id);
      if (location !== undefined) return { location };
    }
    const answering = client.getRange(new URL(href, base), range);
    const isDirect = served.has(id);
    if (!isDirect)
      asking.set(
        id,
        answering.catch(() => undefined),
      );
    try {
      const answer = await answering;
      if ('location' in answer) links.set(id, answer.location);
      else served.add(id);
      return answer;
    } finally {
      if (!isDirect) asking.delete(id);
    }
  };

  const readOnce = async (segment: Segment, offset: number, into: Buffer): Promise<RangeOutcome> => {
    if (!URL.canParse(segment.href, base.href)) return 'unreadable';
    const range = { start: offset, end: offset + into.length - 1 };
    for (let isFresh = false; ;) {
      let link = links.get(segment.id);
      if (link === undefined) {
        if (isFresh) return 'unreadable';
        isFresh = true;
        const answer = await askServer(segment, range);
        if (!('location' in answer)) return await readBody(answer, offset, into);
        link = answer.location;
      }
      try {
        return await readBody(await client.getLinked(link, range), offset, into);
      } catch (error) {
        if (!(error instanceof SourceStatusError) || !LINK_ENDED.has(error.status)) throw error;
        // Another read may have fetched a newer link meanwhile.
        if (links.get(segment.id) === link) links.delete(segment.id);
      }
    }
  };

  const readRemote = async (segment: Segment, offset: number, into: Buffer): Promise<RangeOutcome> => {
    for (let tries = 1; ; tries++) {
      const outcome = await client.untilAnswered(() => readOnce(segment, offset, into)).catch(outcomeOf);
      if (outcome !== 'unreadable' || tries === READ_TRIES) return outcome;
      await client.pause(tries);
    }
  };

  return {
    async read(segment, offset, into) {
      if (into.length === 0) return 'read';
      client.signal.throwIfAborted();
      const local = await files?.read(segment, offset, into);
      if (local === undefined) return readRemote(segment, offset, into);
      if (local === 'read') client.noteBytes(into.length);
      return local;
    },
    close: async () => files?.close(),
  };
}

function outcomeOf(error: unknown): RangeOutcome {
  if (error instanceof SourceInterruptedError) return 'unreadable';
  if (!(error instanceof SourceStatusError)) throw error;
  if (error.status === 404 || error.status === 410) return 'missing';
  // 416: the segment ends before the range does.
  return error.status === 416 ? 'corrupt' : 'unreadable';
}

async function readBody(answer: SourceAnswer, offset: number, into: Buffer): Promise<RangeOutcome> {
  // "A server MAY ignore the Range header field" (RFC 9110, section 14.2): then the answer starts at the first byte.
  let skipped = offset - answer.start;
  if (!(skipped >= 0)) {
    answer.discard();
    return 'unreadable';
  }
  let filled = 0;
  for await (const piece of answer.pieces) {
    const wanted = piece.subarray(Math.min(skipped, piece.length));
    skipped -= piece.length - wanted.length;
    filled += wanted.copy(into, filled);
    // An answer to the range alone is read to its end, so that the connection can be used again.
    if (filled === into.length && answer.isWhole) break;
  }
  return filled === into.length ? 'read' : 'corrupt';
}
