/** When a long-running command ends: a signal, or the end of the process that started it. */

/** A running part. */
export interface Stoppable {
  stop(): Promise<void>;
}

/** Resolves with why, at SIGINT, SIGTERM, or when the parent process that holds our IPC channel is gone. */
export function stopRequested(): Promise<string> {
  return new Promise((resolve) => {
    process.once('SIGINT', () => resolve('SIGINT'));
    process.once('SIGTERM', () => resolve('SIGTERM'));
    if (process.channel) process.once('disconnect', () => resolve('the parent process is gone'));
  });
}

/** Runs one part of the service in this process. Lets go of the parent process whatever happens, or we would never end. */
export async function runPart(part: () => Promise<void>): Promise<void> {
  try {
    await part();
  } finally {
    if (process.connected) process.disconnect();
  }
}

/** Tells a parent process that this one is ready. */
export function announceReady(message: Record<string, unknown>): void {
  process.send?.({ ready: true, ...message });
}
