import type { Socket } from 'node:net';

export interface Writer {
  /** What is written until `later` comes leaves with one system call. */
  write(bytes: Uint8Array | string): void;
  /** Hands over what was written: before the socket is destroyed, which forgets what it holds. */
  flush(): void;
}

/**
 * @param later `queueMicrotask`: with what is written in one go, and before anything that waits for it goes on; `process.nextTick`: in
 *   one turn of the event loop
 */
export function writeTogether(socket: Socket, later: (flush: () => void) => void): Writer {
  let isHeld = false;
  const flush = (): void => {
    if (!isHeld) return;
    isHeld = false;
    socket.uncork();
  };
  return {
    write(bytes) {
      if (!isHeld) {
        isHeld = true;
        socket.cork();
        later(flush);
      }
      socket.write(bytes);
    },
    flush,
  };
}
