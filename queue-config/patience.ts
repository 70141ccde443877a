/** Deadlines for answers of a broker. */

/** Milliseconds by which a timer may be late on a machine that is merely busy. */
const LATE = 100;

/**
 * Calls `onEnd` once when `ms` milliseconds have passed in which this process ran. After a pause of the process (a long task, a
 * machine that stood still, SIGSTOP) the timers of Node.js run before its sockets are read: an answer that came meanwhile would
 * be taken for none, so the time by which a timer is late is waited again.
 * @returns what ends the wait
 */
export function patience(ms: number, onEnd: () => void): () => void {
  let timer: NodeJS.Timeout;
  const wait = (left: number): void => {
    const due = performance.now() + left;
    timer = setTimeout(() => {
      const late = performance.now() - due;
      if (late > LATE) wait(Math.min(late, ms));
      else onEnd();
    }, left);
  };
  wait(ms);
  return () => clearTimeout(timer);
}
