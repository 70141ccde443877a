/** The two ways to the broker, TCP and WebSocket, seen as one. */
import { isUtf8 } from 'node:buffer';
import type { Socket } from 'node:net';
import type { RawData, WebSocket } from 'ws';
import { writeTogether } from '../write-together.js';

export interface Transport {
  readonly peer: string;
  /** Bytes accepted for sending that the system has not taken yet. */
  readonly backlog: number;
  send(bytes: Buffer): void;
  /** Stops and starts reading. */
  pause(): void;
  resume(): void;
  /** Closes once everything is sent. What the peer still sends is thrown away. */
  close(): void;
  /** Cuts the connection. */
  destroy(): void;
}

export interface TransportEvents {
  onBytes(chunk: Buffer): void;
  /** The backlog has become smaller. */
  onRelief(): void;
  /** The connection is gone, or its peer will send no more. Once. */
  onGone(reason: string): void;
}

/** How long a peer may take to read our last words and go. */
const LINGER = 2_000;

export function tcpTransport(socket: Socket, events: (transport: Transport) => TransportEvents): Transport {
  socket.setNoDelay(true);
  socket.setKeepAlive(true, 30_000);
  const writer = writeTogether(socket, (flush) => process.nextTick(flush));
  let closing: NodeJS.Timeout | undefined;
  const linger = (): void => {
    if (!socket.destroyed) closing ??= setTimeout(() => socket.destroy(), LINGER);
  };
  const transport: Transport = {
    peer: `${socket.remoteAddress ?? '?'}:${socket.remotePort ?? '?'}`,
    get backlog() {
      return socket.writableLength;
    },
    send(bytes) {
      if (socket.writable) writer.write(bytes);
    },
    pause: () => void socket.pause(),
    resume: () => void socket.resume(),
    close() {
      // Closing a socket with unread bytes resets the connection, and the peer would never see the ERROR frame.
      socket.resume();
      socket.end();
      linger();
    },
    destroy: () => void socket.destroy(),
  };
  const once = onlyOnce(events(transport));
  socket.on('data', (chunk: Buffer) => once.onBytes(chunk));
  socket.on('drain', () => once.onRelief());
  let failure = 'closed by the peer';
  socket.on('error', (error) => (failure = error.message));
  socket.on('end', () => {
    once.onGone(failure);
    linger();
  });
  socket.on('close', () => {
    clearTimeout(closing);
    once.onGone(failure);
  });
  return transport;
}

export function webSocketTransport(
  socket: WebSocket,
  peer: string,
  events: (transport: Transport) => TransportEvents,
): Transport {
  let closing: NodeJS.Timeout | undefined;
  const transport: Transport = {
    peer,
    get backlog() {
      return socket.bufferedAmount;
    },
    send(bytes) {
      if (socket.readyState !== socket.OPEN) return;
      // Most clients expect text; a body that is none goes as binary.
      socket.send(bytes, { binary: !isUtf8(bytes) }, () => once.onRelief());
    },
    pause: () => socket.pause(),
    resume: () => socket.resume(),
    close() {
      if (socket.readyState === socket.CLOSED) return;
      socket.resume();
      socket.close(1000);
      closing ??= setTimeout(() => socket.terminate(), LINGER);
    },
    destroy: () => socket.terminate(),
  };
  const once = onlyOnce(events(transport));
  socket.on('message', (data: RawData) => once.onBytes(data as Buffer));
  let failure = 'closed by the peer';
  socket.on('error', (error) => (failure = error.message));
  socket.on('close', () => {
    clearTimeout(closing);
    once.onGone(failure);
  });
  return transport;
}

function onlyOnce(events: TransportEvents): TransportEvents {
  let gone = false;
  return {
    onBytes: (chunk) => {
      if (!gone) events.onBytes(chunk);
    },
    onRelief: () => {
      if (!gone) events.onRelief();
    },
    onGone: (reason) => {
      if (gone) return;
      gone = true;
      events.onGone(reason);
    },
  };
}
