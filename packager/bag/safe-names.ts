/** File names for documents: safe on every file system, never two alike, and always the same for the same listing. */
import { createHash } from 'node:crypto';
import { createByteLog } from './byte-log.js';

/** Longest name in bytes on the usual file systems. */
const LONGEST_NAME = 255;
/** A dot and a format. */
const LONGEST_EXTENSION = 17;

// Windows: "use any character except < > : " / \ | ? *, NUL and 1 to 31". `%` too: RFC 8493 has it encoded in manifests, which
// widely used validators do not undo. Then what hides or reorders text: format controls, line and paragraph separators.
const UNSAFE = /[<>:"/\\|?*%\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\uFFFD\uFFFE\uFFFF]/gu;
// A device name stays one with any extension; digits in superscript count too.
const RESERVED = /^(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])(\.|$)/i;
// A leading `-` reads as an option, `~` as a home folder, a dot hides the file; Windows drops dots and spaces at the end.
const EDGES = /^[\s.~-]+|[\s.]+$/gu;

export interface SafeNames {
  /** The name for the next document, without its extension. */
  next(ref: string): string;
}

export interface SafeNamer extends SafeNames {
  /**
   * The same names from the start, for the same documents in the same order, as often as they are wanted. From then on this
   * gives no new ones: what it knew of all names is let go.
   */
  again(): SafeNames;
}

/** Which of its possible names a document has: its ref, that made safe, or that with so many digits of a digest behind it. */
const AS_IT_IS = 0;
const MADE_SAFE = 1;
const WITH_DIGITS = [8, 16, 32, 64];
const FIRST_WITH_DIGITS = 2;

/** Names depend on the order of the calls: the first of two documents whose names would clash keeps its own. */
export function createSafeNamer(): SafeNamer {
  let taken: ReturnType<typeof createHashSet> | undefined = createHashSet();
  const choices = createByteLog();
  return {
    next(ref) {
      if (taken === undefined) throw new Error('the names are complete');
      if (isPlain(ref) && taken.add(ref.toLowerCase())) {
        choices.push(AS_IT_IS);
        return ref;
      }
      const first = clean(ref).isFaithful ? MADE_SAFE : FIRST_WITH_DIGITS;
      for (let choice = first; choice < FIRST_WITH_DIGITS + WITH_DIGITS.length; choice++) {
        const name = chosenName(ref, choice);
        if (!taken.add(fold(name))) continue;
        choices.push(choice);
        return name;
      }
      // Only a listing that names one document twice comes here.
      throw new RangeError(`two documents have the ref ${JSON.stringify(ref)}`);
    },
    again() {
      taken = undefined;
      let position = 0;
      return { next: (ref) => chosenName(ref, choices.at(position++)) };
    },
  };
}

function chosenName(ref: string, choice: number): string {
  if (choice === AS_IT_IS) return ref;
  const { name } = clean(ref);
  const digits = WITH_DIGITS[choice - FIRST_WITH_DIGITS];
  if (digits === undefined) return name;
  return withSuffix(name, `~${createHash('sha256').update(ref).digest('hex').slice(0, digits)}`);
}

const PLAIN = /^[A-Za-z0-9_][A-Za-z0-9_.-]*$/;

/** True for most refs: nothing of them would be replaced, and letters are the only thing to fold. */
function isPlain(ref: string): boolean {
  return PLAIN.test(ref) && !ref.endsWith('.') && ref.length <= LONGEST_NAME - LONGEST_EXTENSION && !RESERVED.test(ref);
}

/** Not faithful: something was replaced or cut off, so the name alone no longer says which ref it is. */
function clean(ref: string): { name: string; isFaithful: boolean } {
  // Encoding replaces surrogates that stand alone.
  const whole = Buffer.from(ref).toString().normalize('NFC');
  let name = whole.replace(UNSAFE, '_').replace(EDGES, (edge) => '_'.repeat(edge.length));
  if (RESERVED.test(name)) name = `_${name}`;
  name = cut(name, LONGEST_NAME - LONGEST_EXTENSION);
  return { name: name === '' ? '_' : name, isFaithful: name === whole };
}

function withSuffix(name: string, suffix: string): string {
  return `${cut(name, LONGEST_NAME - LONGEST_EXTENSION - suffix.length)}${suffix}`;
}

/** At most so many bytes of UTF-8, and no character in half. */
function cut(name: string, bytes: number): string {
  if (Buffer.byteLength(name) <= bytes) return name;
  let end = bytes;
  const encoded = Buffer.from(name);
  // Bytes 10xxxxxx continue a character.
  while (end > 0 && ((encoded[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return encoded.subarray(0, end).toString().normalize('NFC').replace(EDGES, '_');
}

/** What two names have in common where a file system cannot tell them apart: case, and how accents are composed. */
function fold(name: string): string {
  return name.normalize('NFKC').toUpperCase().toLowerCase().normalize('NFKC');
}

/**
 * A set of 53-bit hashes, 8 to 32 bytes a name where a Set of strings takes 100: a million names are 16 MB. Two
 * names with one hash cost a suffix that was not needed, and nothing else.
 */
function createHashSet() {
  let slots = new Float64Array(1024);
  let count = 0;
  const place = (table: Float64Array, hash: number): number => {
    let index = hash % table.length;
    while (table[index] !== 0 && table[index] !== hash) index = (index + 1) % table.length;
    return index;
  };
  const grow = (): void => {
    const larger = new Float64Array(slots.length * 2);
    for (const hash of slots) if (hash !== 0) larger[place(larger, hash)] = hash;
    slots = larger;
  };
  return {
    /** False: it is there already. */
    add(name: string): boolean {
      if (count * 2 >= slots.length) grow();
      const hash = hashOf(name);
      const index = place(slots, hash);
      if (slots[index] === hash) return false;
      slots[index] = hash;
      count += 1;
      return true;
    },
  };
}

/** From 1 to 2⁵³: two multiplicative hashes of 32 bits side by side. */
function hashOf(name: string): number {
  let high = 0xdeadbeef;
  let low = 0x41c6ce57;
  for (let index = 0; index < name.length; index++) {
    const unit = name.charCodeAt(index);
    high = Math.imul(high ^ unit, 0x9e3779b1);
    low = Math.imul(low ^ unit, 0x5f356495);
    high ^= high >>> 15;
    low ^= low >>> 13;
  }
  high = Math.imul(high ^ (low >>> 16), 0x85ebca6b);
  low = Math.imul(low ^ (high >>> 13), 0xc2b2ae35);
  return ((high >>> 0) & 0x1fffff) * 0x100000000 + (low >>> 0) + 1;
}
