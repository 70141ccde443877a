/** Bytes that are only ever appended: what there is to remember of each of a million documents. */

export interface ByteLog {
  push(byte: number): void;
  /** @throws {RangeError} there are not so many */
  at(index: number): number;
  slice(start: number, end: number): Buffer;
}

export function createByteLog(): ByteLog {
  let bytes = new Uint8Array(1024);
  let length = 0;
  return {
    push(byte) {
      if (length === bytes.length) {
        const larger = new Uint8Array(bytes.length * 2);
        larger.set(bytes);
        bytes = larger;
      }
      bytes[length++] = byte;
    },
    at(index) {
      const byte = index < length ? bytes[index] : undefined;
      if (byte === undefined) throw new RangeError(`there are ${length} bytes, and number ${index} was asked for`);
      return byte;
    },
    slice: (start, end) => Buffer.from(bytes.subarray(start, end)),
  };
}
