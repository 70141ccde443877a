/**
 * Jobs that may be what packagers die of are done one at a time: two that have died together would never show which of them it was.
 */

export interface SuspectTurns {
  /** Resolves with how to end the turn. Rejects with the reason of the signal. */
  take(signal: AbortSignal): Promise<() => void>;
}

export function createSuspectTurns(): SuspectTurns {
  let last: Promise<void> = Promise.resolve();
  return {
    async take(signal) {
      const before = last;
      let end: () => void = () => undefined;
      last = new Promise((resolve) => (end = resolve));
      const given = new Promise<never>((_resolve, reject) => {
        const leave = (): void => reject(signal.reason as Error);
        if (signal.aborted) leave();
        else signal.addEventListener('abort', leave, { once: true });
      });
      try {
        await Promise.race([before, given]);
      } catch (error) {
        // Whoever comes behind waits for those before all the same.
        void before.then(end);
        throw error;
      }
      return end;
    },
  };
}
