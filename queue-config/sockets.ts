/** Sockets for the STOMP client: plain TCP and TLS dressed as the WebSocket that it expects, and WebSocket itself. */
import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { connect as connectTls, rootCertificates } from 'node:tls';
import type { IStompSocket } from '@stomp/stompjs';
import { WebSocket } from 'ws';
import type { BrokerAddress } from './broker-url.js';
import { writeTogether } from './write-together.js';

/**
 * Opens a socket to a broker. Failures come through the socket's `onerror` and `onclose`.
 * @param authority PEM certificates that are trusted beside those that Node.js trusts
 */
export function openSocket(address: BrokerAddress, authority?: string): IStompSocket {
  // Given alone, `ca` would take the place of the certificates that Node.js trusts.
  const trust = authority === undefined ? {} : { ca: [...rootCertificates, authority] };
  if (address.scheme === 'ws' || address.scheme === 'wss') {
    return new WebSocket(address.href, ['v12.stomp'], { perMessageDeflate: false, ...trust });
  }
  return streamSocket(address, trust);
}

function streamSocket({ scheme, host, port, href }: BrokerAddress, trust: { ca?: string[] }): IStompSocket {
  // Without noDelay every drain waits 40 ms for a delayed acknowledgement.
  const options = { host, port, noDelay: true, keepAlive: true };
  // An address is no server name (RFC 6066 §3); the certificate is compared with it all the same.
  const name = isIP(host) === 0 ? { servername: host } : {};
  const socket: Socket = scheme === 'stomp+ssl' ? connectTls({ ...options, ...trust, ...name }) : connectTcp(options);
  const writer = writeTogether(socket, queueMicrotask);
  const CONNECTING = 0;
  const OPEN = 1;
  const CLOSING = 2;
  const CLOSED = 3;
  let readyState = CONNECTING;
  const adapter: IStompSocket = {
    url: href,
    get readyState() {
      return readyState;
    },
    onopen: undefined,
    onmessage: undefined,
    onerror: undefined,
    onclose: undefined,
    send(data) {
      if (readyState === OPEN) writer.write(typeof data === 'string' ? data : Buffer.from(data as ArrayBuffer));
    },
    close() {
      readyState = CLOSING;
      socket.end();
    },
    terminate() {
      readyState = CLOSING;
      writer.flush();
      socket.destroy();
    },
  };
  socket.once(scheme === 'stomp+ssl' ? 'secureConnect' : 'connect', () => {
    readyState = OPEN;
    adapter.onopen?.();
  });
  socket.on('data', (chunk: Buffer) => {
    // An ArrayBuffer of its own: the one behind the chunk is shared.
    const copy = chunk.buffer.slice(chunk.byteOffset, chunk.byteOffset + chunk.byteLength);
    adapter.onmessage?.({ data: copy });
  });
  socket.once('error', (error) => {
    adapter.onerror?.(error);
  });
  socket.once('close', () => {
    readyState = CLOSED;
    adapter.onclose?.({ code: 1006, reason: '' });
  });
  return adapter;
}
