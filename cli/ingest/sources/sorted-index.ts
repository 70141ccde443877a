/** Millions of keys with some numbers each, in little memory: about 30 bytes and the key for each. */

export interface Indexed {
  key: Buffer;
  numbers: number[];
}

export interface SortedIndex {
  readonly length: number;
  add(key: Buffer, numbers: readonly number[]): void;
  /** Has to be called between the last `add` and the rest. */
  sort(): void;
  /** In the order of the bytes of the keys; equal keys in the order in which they came. */
  at(position: number): Indexed;
  /** Position of the first entry whose key is this one or comes behind it. */
  seek(key: Buffer): number;
}

const CHUNK = 1024 * 1024;
const ROWS = 65_536;

/** @param columns how many numbers each key has */
export function createSortedIndex(columns: number): SortedIndex {
  // Chunks, since doubling one array would for a moment need three times as much. A key never lies across two.
  const keys: Buffer[] = [];
  const rows: Float64Array[] = [];
  /** Of each row: the chunk of its key, where it begins there, its length, and the numbers. */
  const width = columns + 3;
  let length = 0;
  let used = CHUNK;
  let order = new Uint32Array();

  const row = (index: number): { values: Float64Array; start: number } => {
    const values = rows[Math.floor(index / ROWS)];
    if (values === undefined) throw new RangeError(`the index has no row ${index}`);
    return { values, start: (index % ROWS) * width };
  };
  const keyOf = (index: number): Buffer => {
    const { values, start } = row(index);
    const begin = values[start + 1] ?? 0;
    return chunk(values[start] ?? 0).subarray(begin, begin + (values[start + 2] ?? 0));
  };
  const chunk = (number: number): Buffer => {
    const found = keys[number];
    if (found === undefined) throw new RangeError(`the index has no chunk ${number}`);
    return found;
  };
  // Millions of comparisons: nothing is made for them.
  const compare = (one: number, other: number): number => {
    const [left, right] = [row(one), row(other)];
    const [leftBegin, rightBegin] = [left.values[left.start + 1] ?? 0, right.values[right.start + 1] ?? 0];
    return (
      chunk(left.values[left.start] ?? 0).compare(
        chunk(right.values[right.start] ?? 0),
        ...[rightBegin, rightBegin + (right.values[right.start + 2] ?? 0)],
        ...[leftBegin, leftBegin + (left.values[left.start + 2] ?? 0)],
      ) || one - other
    );
  };
  const position = (index: number): number => {
    const found = order[index];
    if (found === undefined) throw new RangeError(`the index has no position ${index}`);
    return found;
  };

  return {
    get length() {
      return length;
    },
    add(key, numbers) {
      if (used + key.length > CHUNK) {
        keys.push(Buffer.allocUnsafeSlow(Math.max(CHUNK, key.length)));
        used = 0;
      }
      if (length % ROWS === 0) rows.push(new Float64Array(ROWS * width));
      const { values, start } = row(length);
      values.set([keys.length - 1, used, key.length, ...numbers], start);
      key.copy(chunk(keys.length - 1), used);
      used += key.length;
      length += 1;
    },
    sort() {
      order = new Uint32Array(length).map((_, index) => index);
      // Most archives are in order already, and looking is quicker than sorting.
      const isSorted = order.every((index) => index === 0 || compare(index - 1, index) < 0);
      if (!isSorted) order.sort(compare);
    },
    at(index) {
      const { values, start } = row(position(index));
      return { key: keyOf(position(index)), numbers: [...values.subarray(start + 3, start + width)] };
    },
    seek(key) {
      let [low, high] = [0, length];
      while (low < high) {
        const middle = (low + high) >>> 1;
        if (Buffer.compare(keyOf(position(middle)), key) < 0) low = middle + 1;
        else high = middle;
      }
      return low;
    },
  };
}
