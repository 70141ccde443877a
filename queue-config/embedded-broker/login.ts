/** Who may connect. */
import { createHash, timingSafeEqual } from 'node:crypto';

export interface Account {
  login: string;
  passcode: string;
}

/** Tells whether the pair is one of the accounts, in a time that tells nothing about which part is wrong. */
export function createLoginCheck(accounts: readonly Account[]): (login: string, passcode: string) => boolean {
  const digests = accounts.map(({ login, passcode }) => digest(login, passcode));
  return (login, passcode) => {
    const given = digest(login, passcode);
    let found = false;
    for (const known of digests) found = timingSafeEqual(known, given) || found;
    return found;
  };
}

function digest(login: string, passcode: string): Buffer {
  // NUL cannot occur in a header, so no two pairs read alike.
  return createHash('sha256').update(`${login}\0${passcode}`).digest();
}
