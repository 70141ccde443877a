/** Gathers bytes into memory that comes from whoever reads them, so that they are copied no second time. */

export interface Gatherer {
  /** Where so many bytes can be written at once; to be followed by `addWritten`. */
  roomFor(bytes: number): { out: Buffer; at: number };
  /** Counts what was written there. False: it was written beside the memory, and is still to be added. */
  addWritten(bytes: number): boolean;
  /** False: there is no room for it, and nothing was added. */
  add(piece: Buffer): boolean;
  /** Adds a piece whatever its length; what it yields is full. */
  addLong(piece: Buffer): Generator<Buffer>;
  /** Bytes of all that was added. */
  total(): number;
  /** What was gathered since the last full piece. */
  rest(): Buffer;
}

const PIECE = 512 * 1024;

/**
 * @param nextMemory asked for memory when the first byte for it is there; what was yielded is the reader's. Without it, small
 * things are gathered into new memory, and what is longer passes through as it came.
 */
export function createGatherer(nextMemory?: () => Buffer): Gatherer {
  let out: Buffer = Buffer.alloc(0);
  let at = 0;
  let before = 0;
  let aside: Buffer = Buffer.alloc(0);
  let isAside = false;
  const add = (piece: Buffer): boolean => {
    if (piece.length > out.length - at) return false;
    out.set(piece, at);
    at += piece.length;
    return true;
  };
  return {
    roomFor(bytes) {
      isAside = bytes > out.length - at;
      if (!isAside) return { out, at };
      if (aside.length < bytes) aside = Buffer.allocUnsafeSlow(bytes);
      return { out: aside, at: 0 };
    },
    addWritten(bytes) {
      if (!isAside) at += bytes;
      return !isAside;
    },
    add,
    *addLong(piece) {
      let added = 0;
      do {
        if (at === out.length) {
          if (at > 0) yield out;
          before += at;
          at = 0;
          if (nextMemory === undefined && piece.length - added > PIECE) {
            out = Buffer.alloc(0);
            before += piece.length - added;
            yield added === 0 ? piece : piece.subarray(added);
            return;
          }
          out = nextMemory?.() ?? Buffer.allocUnsafeSlow(PIECE);
        }
        const end = added + Math.min(piece.length - added, out.length - at);
        add(piece.subarray(added, end));
        added = end;
      } while (added < piece.length);
    },
    total: () => before + at,
    rest: () => out.subarray(0, at),
  };
}
