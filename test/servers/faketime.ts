/** Processes whose clock is wrong, by libfaketime; not for Java, which does not run with it. */
import { existsSync } from 'node:fs';

const LIBRARY = '/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1';

export const hasFaketime = (): boolean => existsSync(LIBRARY);

/** Environment of a process whose clock is so many seconds ahead of ours. */
export const clockAhead = (seconds: number): Record<string, string> => ({
  LD_PRELOAD: LIBRARY,
  FAKETIME: `${seconds < 0 ? '' : '+'}${seconds}`,
  // Time that passes is the same for all.
  FAKETIME_DONT_FAKE_MONOTONIC: '1',
});
