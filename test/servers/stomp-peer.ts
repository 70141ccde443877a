/** A plain STOMP 1.2 client on node:net or ws, for tests that must not lean on the client that the product uses. */
import { connect } from 'node:net';
import { WebSocket } from 'ws';
import { Hopeless, waitUntil } from './wait-until.js';

export interface StompFrame {
  command: string;
  headers: Record<string, string>;
  body: string;
}

export interface StompPeer {
  /** Everything that came and was not taken yet, in order. */
  readonly inbox: StompFrame[];
  readonly connected: StompFrame;
  closed(): boolean;
  /** Writes a frame. */
  write(command: string, headers?: Record<string, string>, body?: string): void;
  /** Writes a frame with a receipt. @throws {StompRefusal} the broker answered ERROR */
  request(command: string, headers?: Record<string, string>, body?: string): Promise<void>;
  /** Takes the first frame that came and matches. */
  take(what: string, matches: (frame: StompFrame) => boolean, deadlineMs?: number): Promise<StompFrame>;
  /** Takes the next MESSAGE. */
  message(deadlineMs?: number): Promise<StompFrame>;
  /** DISCONNECT with a receipt, then closes. */
  disconnect(): Promise<void>;
  /** Closes the socket and says nothing. */
  destroy(): void;
}

/** The broker answered with an ERROR frame. */
export class StompRefusal extends Error {
  override readonly name = 'StompRefusal';
}

/** A byte stream in both directions. */
interface Line {
  write(text: string): void;
  destroy(): void;
}

/**
 * Connects with the login and passcode in the URL, `stomp://login:passcode@host:port` or `ws://…`. Heart-beats are off unless
 * `heartBeat` says otherwise (as the header's two numbers); this peer sends none of its own.
 */
export async function connectStomp(
  address: string,
  { headers = {} }: { headers?: Record<string, string> } = {},
): Promise<StompPeer> {
  const url = new URL(address);
  const inbox: StompFrame[] = [];
  const parser = createParser((frame) => inbox.push(frame));
  let closed = false;
  const line = await openLine(url, parser, () => {
    closed = true;
  });
  const write: StompPeer['write'] = (command, fields = {}, body = '') => {
    const head = Object.entries({ ...fields, 'content-length': String(Buffer.byteLength(body)) });
    line.write(`${command}\n${head.map(([name, value]) => `${name}:${value}`).join('\n')}\n\n${body}\0`);
  };
  const take: StompPeer['take'] = (what, matches, deadlineMs = 60_000) =>
    waitUntil(
      what,
      () => {
        const index = inbox.findIndex(matches);
        if (index >= 0) return inbox.splice(index, 1)[0];
        if (closed) throw new Hopeless(`connection closed while waiting for ${what}`);
        return undefined;
      },
      { deadlineMs, pauseMs: 1 },
    );
  let receipts = 0;
  const request: StompPeer['request'] = async (command, fields = {}, body = '') => {
    const receipt = `r${++receipts}`;
    write(command, { ...fields, receipt }, body);
    const answer = await take(`receipt of ${command}`, (frame) => frame.headers['receipt-id'] === receipt);
    if (answer.command === 'ERROR') throw new StompRefusal(answer.headers['message'] ?? answer.body);
  };
  write('CONNECT', {
    'accept-version': '1.2',
    host: '/',
    login: decodeURIComponent(url.username),
    passcode: decodeURIComponent(url.password),
    'heart-beat': '0,0',
    ...headers,
  });
  const connected = await take('CONNECTED', ({ command }) => command === 'CONNECTED' || command === 'ERROR');
  if (connected.command === 'ERROR') {
    line.destroy();
    throw new StompRefusal(connected.headers['message'] ?? connected.body);
  }
  return {
    inbox,
    connected,
    closed: () => closed,
    write,
    request,
    take,
    message: (deadlineMs) => take('a MESSAGE', ({ command }) => command === 'MESSAGE', deadlineMs),
    async disconnect() {
      await request('DISCONNECT');
      line.destroy();
    },
    destroy: () => line.destroy(),
  };
}

function openLine(url: URL, onBytes: (chunk: Buffer) => void, onClose: () => void): Promise<Line> {
  return new Promise((resolve, reject) => {
    if (url.protocol === 'ws:') {
      const socket = new WebSocket(`ws://${url.host}/`, ['v12.stomp']);
      socket.on('message', (data: Buffer) => onBytes(data));
      socket.on('close', onClose);
      socket.once('error', reject);
      socket.once('open', () => resolve({ write: (text) => socket.send(text), destroy: () => socket.terminate() }));
      return;
    }
    const socket = connect({ host: url.hostname, port: Number(url.port), noDelay: true });
    socket.on('data', onBytes);
    socket.on('close', onClose);
    socket.on('error', reject);
    socket.once('connect', () =>
      resolve({ write: (text) => void socket.write(text), destroy: () => socket.destroy() }),
    );
  });
}

/** Splits a byte stream into frames; heart-beats (lone line feeds) are dropped. */
function createParser(onFrame: (frame: StompFrame) => void): (chunk: Buffer) => void {
  let rest = Buffer.alloc(0);
  return (chunk) => {
    rest = Buffer.concat([rest, chunk]);
    for (;;) {
      let start = 0;
      while (rest[start] === 0x0a || rest[start] === 0x0d) start += 1;
      rest = rest.subarray(start);
      const headEnd = rest.indexOf('\n\n');
      if (headEnd < 0) return;
      const [command = '', ...lines] = rest.toString('utf8', 0, headEnd).split('\n');
      const headers = readHeaders(lines);
      const bodyStart = headEnd + 2;
      const length = headers['content-length'];
      const bodyEnd = length === undefined ? rest.indexOf(0, bodyStart) : bodyStart + Number(length);
      if (bodyEnd < 0 || rest.length <= bodyEnd) return;
      const body = rest.toString('utf8', bodyStart, bodyEnd);
      rest = rest.subarray(bodyEnd + 1);
      onFrame({ command, headers, body });
    }
  };
}

function readHeaders(lines: string[]): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const line of lines) {
    const colon = line.indexOf(':');
    const name = unescape(line.slice(0, colon));
    // STOMP 1.2, "Repeated Header Entries": the first one stands.
    headers[name] ??= unescape(line.slice(colon + 1));
  }
  return headers;
}

function unescape(text: string): string {
  const meaning: Record<string, string> = { '\\r': '\r', '\\n': '\n', '\\c': ':', '\\\\': '\\' };
  return text.replace(/\\[rnc\\]/g, (escape) => meaning[escape] ?? escape);
}
