import type { Socket } from 'node:net';

export interface Writer {
  /** What is written in one turn of the event loop leaves with one system call. */
  write(bytes: Uint8Array | string): void;
  /** Hands over what was written: before the socket is destroyed, which forgets what it holds. */
  flush(): void;
}

export function writeTogether(socket: Socket): Writer {
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
        process.nextTick(flush);
      }
      socket.write(bytes);
    },
    flush,
  };
}
