/** Divides the memory for bytes read ahead among the jobs of a packager. */

export interface ReadShares {
  /** One job more takes part, from now on until it leaves. */
  join(): ReadShare;
}

export interface ReadShare {
  /** Bytes that this job may hold now. It shrinks when others join, and nobody ever waits for another job's bytes. */
  bytes(): number;
  leave(): void;
}

const READ_BYTES = 8 * 1024 * 1024;

export function createReadShares(total = READ_BYTES): ReadShares {
  const jobs = new Set<ReadShare>();
  return {
    join() {
      const share: ReadShare = {
        bytes: () => Math.floor(total / jobs.size),
        leave: () => void jobs.delete(share),
      };
      jobs.add(share);
      return share;
    },
  };
}
