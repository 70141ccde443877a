/** Notices that a job moves no more bytes. */

export interface StallWatch {
  /** Bytes moved. */
  touch(): void;
  stop(): void;
}

/** Calls `onStall` once, when nothing was touched for `timeout` milliseconds. */
export function startStallWatch(timeout: number, onStall: () => void): StallWatch {
  let touched = performance.now();
  const timer = setInterval(
    () => {
      if (performance.now() - touched < timeout) return;
      clearInterval(timer);
      onStall();
    },
    Math.max(timeout / 20, 10),
  );
  return {
    touch() {
      touched = performance.now();
    },
    stop: () => clearInterval(timer),
  };
}
