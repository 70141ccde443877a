/** Deflates one content in the threads that Node has for such work, long ones in pieces side by side. */
import { availableParallelism } from 'node:os';
import { promisify } from 'node:util';
import { constants, deflateRaw as deflateRawCallback, type ZlibOptions } from 'node:zlib';

const deflateRaw = promisify<Buffer, ZlibOptions, Buffer>(deflateRawCallback);

/** Long contents are deflated in pieces of this size, side by side. */
const PIECE = 512 * 1024;
/** Deflate looks back this far: each piece is given the end of the one before it, so that cutting costs nothing. */
const WINDOW = 32 * 1024;
/** Node has four such threads, and files are read by them too. */
const MOST_THREADS = 3;

const slots = createSlots(Math.min(availableParallelism(), MOST_THREADS));

export interface DeflateOptions {
  /** 1 to 9. */
  level: number;
  /** One of zlib's; its default otherwise. */
  strategy?: number;
  /** What came right before in the same stream. */
  before?: Buffer | undefined;
  /** False: the stream goes on behind these bytes. */
  isLast?: boolean;
}

/** Raw deflate of a content, or of a part of one, as Buffers in their order. */
export async function deflate(content: Buffer, options: DeflateOptions): Promise<Buffer[]> {
  const { before, isLast = true } = options;
  const pieces: Promise<Buffer>[] = [];
  for (let start = 0; start < content.length || start === 0; start += PIECE) {
    const end = start + PIECE;
    const dictionary = start === 0 ? before : content.subarray(start - WINDOW, start);
    pieces.push(
      deflatePiece(content.subarray(start, end), {
        ...options,
        before: dictionary,
        isLast: isLast && end >= content.length,
      }),
    );
  }
  return Promise.all(pieces);
}

/** The end of a content, to be given as `before` with what follows it. */
export const windowOf = (content: Buffer): Buffer => content.subarray(Math.max(0, content.length - WINDOW));

async function deflatePiece(
  piece: Buffer,
  { level, strategy = constants.Z_DEFAULT_STRATEGY, before, isLast = true }: DeflateOptions,
): Promise<Buffer> {
  await slots.take();
  try {
    const deflated = await deflateRaw(piece, {
      level,
      strategy,
      // All of the output in one go: each further chunk would be another turn through the threads' queue.
      chunkSize: piece.length + (piece.length >> 10) + 128,
      finishFlush: isLast ? constants.Z_FINISH : constants.Z_SYNC_FLUSH,
      ...(before === undefined || before.length === 0 ? {} : { dictionary: before }),
    });
    // Of a long content many such pieces wait for the last one: they give up what they did not need.
    return piece.length < PIECE ? deflated : Buffer.from(deflated);
  } finally {
    slots.give();
  }
}

function createSlots(count: number) {
  let free = count;
  const waiting: (() => void)[] = [];
  return {
    take(): Promise<void> | undefined {
      if (free > 0) {
        free -= 1;
        return undefined;
      }
      return new Promise((resolve) => waiting.push(resolve));
    },
    give(): void {
      const next = waiting.shift();
      if (next === undefined) free += 1;
      else next();
    },
  };
}
