/** The doors of the broker: a TCP port, and a WebSocket port. */
import { createServer as createHttpServer, type IncomingMessage, STATUS_CODES } from 'node:http';
import { createServer as createTcpServer, type AddressInfo, type Server, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { WebSocketServer } from 'ws';
import type { Limits } from './limits.js';
import { tcpTransport, webSocketTransport, type Transport, type TransportEvents } from './transport.js';

export interface Listener {
  /** Without credentials. */
  url: string;
  /** Refuses new connections and cuts those that are left. */
  close(): Promise<void>;
}

type Accept = (transport: Transport) => TransportEvents;

const SUBPROTOCOL = 'v12.stomp';
/** Connections beyond the limit that may be told so at a time; others are closed without a word. */
const REFUSED_AT_A_TIME = 100;
/** Room for the framing around a STOMP frame of the largest size, so that it is our limit that is met, with its ERROR frame. */
const MESSAGE_SLACK = 64 * 1024;

export interface ListenOptions {
  host: string;
  port: number;
  limits: Limits;
  accept: Accept;
}

/** @throws {Error} when the port is taken */
export async function listenTcp({ host, port, limits, accept }: ListenOptions): Promise<Listener> {
  const sockets = new Set<Socket>();
  const server = createTcpServer((socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    tcpTransport(socket, accept);
  });
  server.maxConnections = limits.connections + REFUSED_AT_A_TIME;
  const address = await listen(server, host, port);
  return {
    url: `stomp://${address}`,
    close: () => closeServer(server, () => sockets.forEach((socket) => socket.destroy())),
  };
}

export interface WebSocketOptions extends ListenOptions {
  /** Whether pages of other sites may connect: without a login, any page open in a browser here could. */
  foreignPages: boolean;
}

/** @throws {Error} when the port is taken */
export async function listenWebSocket({
  host,
  port,
  limits,
  foreignPages,
  accept,
}: WebSocketOptions): Promise<Listener> {
  const webSockets = new WebSocketServer({
    noServer: true,
    perMessageDeflate: false,
    maxPayload: limits.frameBytes + MESSAGE_SLACK,
    handleProtocols: (offered) => (offered.has(SUBPROTOCOL) ? SUBPROTOCOL : false),
  });
  const { connectMs } = limits;
  const patience = { headersTimeout: connectMs, requestTimeout: connectMs, connectionsCheckingInterval: connectMs };
  const server = createHttpServer(patience, (_request, response) => {
    response.writeHead(426, { upgrade: 'websocket', 'content-type': 'text/plain' });
    response.end(`This port speaks WebSocket with the subprotocol ${SUBPROTOCOL}.\n`);
  });
  server.maxConnections = limits.connections + REFUSED_AT_A_TIME;
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    const status = refusalOf(request, foreignPages);
    if (status !== undefined) {
      socket.on('error', () => socket.destroy());
      // A peer that keeps its half would keep the connection, also where the broker stops.
      socket.once('finish', () => socket.destroy());
      socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`);
      return;
    }
    (socket as Socket).setNoDelay(true);
    webSockets.handleUpgrade(request, socket, head, (webSocket) => {
      const { remoteAddress = '?', remotePort = '?' } = request.socket;
      webSocketTransport(webSocket, `${remoteAddress}:${remotePort}`, accept);
    });
  });
  const address = await listen(server, host, port);
  return {
    url: `ws://${address}`,
    close: () =>
      closeServer(server, () => {
        webSockets.clients.forEach((client) => client.terminate());
        server.closeAllConnections();
      }),
  };
}

/** The status of an upgrade that is refused: another subprotocol, or a page of another site. */
function refusalOf({ headers }: IncomingMessage, foreignPages: boolean): 400 | 403 | undefined {
  const offered = headers['sec-websocket-protocol'];
  if (offered !== undefined && !offered.split(',').some((name) => name.trim() === SUBPROTOCOL)) return 400;
  const { origin, host } = headers;
  if (foreignPages || origin === undefined) return undefined;
  return URL.canParse(origin) && new URL(origin).host === host ? undefined : 403;
}

function listen(server: Server, host: string, port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port }, () => {
      server.off('error', reject);
      const { address, family, port: bound } = server.address() as AddressInfo;
      resolve(`${family === 'IPv6' ? `[${address}]` : address}:${bound}`);
    });
  });
}

function closeServer(server: Server, cutConnections: () => void): Promise<void> {
  return new Promise((resolve, reject) => {
    server.close((error) => (error === undefined ? resolve() : reject(error)));
    cutConnections();
  });
}
