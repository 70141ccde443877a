/** Waits for a condition with a deadline: tests and server starts never sleep a fixed time. */

/**
 * Asks `condition` again and again until it answers something other than undefined or false, and answers that.
 * @throws {Error} at the deadline, with `what` and the last error that `condition` threw
 */
export async function waitUntil<T>(
  what: string,
  condition: () => Promise<T | undefined | false> | T | undefined | false,
  { deadlineMs = 60_000, pauseMs = 25 }: { deadlineMs?: number; pauseMs?: number } = {},
): Promise<T> {
  const deadline = Date.now() + deadlineMs;
  let cause: unknown;
  for (;;) {
    try {
      const answer = await condition();
      if (answer !== undefined && answer !== false) return answer;
      cause = undefined;
    } catch (error) {
      if (error instanceof Hopeless) throw error;
      cause = error;
    }
    if (Date.now() > deadline) throw new Error(`not within ${deadlineMs} ms: ${what}`, { cause });
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
}

/** Thrown by a condition that can no longer become true. */
export class Hopeless extends Error {
  override readonly name = 'Hopeless';
}
