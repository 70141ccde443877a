/** Keys: `adit_<id>_<secret>`. The id finds the row, the digest of the whole key proves it; the key itself is never stored. */
import { createHash, randomInt, timingSafeEqual } from 'node:crypto';

const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const ID_LENGTH = 8;
/** 62^40 is more than 2^238: a digest without salt or stretching is enough for a secret that nobody chose. */
const SECRET_LENGTH = 40;
const KEY = new RegExp(`^adit_([0-9A-Za-z]{${ID_LENGTH}})_[0-9A-Za-z]{${SECRET_LENGTH}}$`);

export interface NewKey {
  /** Shown once. */
  key: string;
  id: string;
  hash: Buffer;
}

export function makeKey(): NewKey {
  const id = randomText(ID_LENGTH);
  const key = `adit_${id}_${randomText(SECRET_LENGTH)}`;
  return { key, id, hash: digestOf(key) };
}

/** The id in a key, or undefined for a text that is no key of ours. */
export const keyId = (key: string): string | undefined => KEY.exec(key)?.[1];

export const digestOf = (key: string): Buffer => createHash('sha256').update(key).digest();

/** Compares in constant time; digests, since keys may differ in length. */
export const isSameDigest = (one: Buffer, other: Buffer): boolean =>
  one.length === other.length && timingSafeEqual(one, other);

function randomText(length: number): string {
  return Array.from({ length }, () => ALPHABET.charAt(randomInt(ALPHABET.length))).join('');
}
