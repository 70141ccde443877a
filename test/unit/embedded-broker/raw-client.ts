/** A STOMP client that sends exactly what a test says, and shows every frame that comes. */
import { connect as connectTcp, type Socket } from 'node:net';
import { encodeFrame } from '../../../queue-config/embedded-broker/frame-encoder.js';
import { createFrameParser, SERVER_COMMANDS, type Frame } from '../../../queue-config/embedded-broker/frame-parser.js';

export interface RawClient {
  socket: Socket;
  send(command: string, headers?: Record<string, string>, body?: string | Buffer): void;
  /** SEND, SUBSCRIBE… with a receipt; resolves with the RECEIPT or ERROR that answers it. */
  ask(command: string, headers?: Record<string, string>, body?: string | Buffer): Promise<Frame>;
  /** The next frame of this command, within a deadline. */
  take(command: string): Promise<Frame>;
  /** The next `count` MESSAGE frames. */
  takeMessages(count: number): Promise<Frame[]>;
  /** Frames that came and were not taken. */
  readonly frames: readonly Frame[];
  /** True once the broker has closed the connection. */
  readonly closed: boolean;
  /** Cuts the connection without a word. */
  cut(): Promise<void>;
}

const DEADLINE = 60_000;

/** Waits until the condition holds; fails with its description when it does not within the deadline. */
export async function until(what: string, condition: () => boolean, deadlineMs = DEADLINE): Promise<void> {
  const end = Date.now() + deadlineMs;
  while (!condition()) {
    if (Date.now() > end) throw new Error(`not within ${deadlineMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

const openClients = new Set<RawClient>();

/** Cuts every connection that a test left. */
export async function cutAll(): Promise<void> {
  await Promise.all([...openClients].map((client) => client.cut()));
}

/** A TCP connection on which nothing was sent yet. */
export async function dial(url: string): Promise<RawClient> {
  const { hostname, port } = new URL(url);
  const socket = connectTcp({ host: hostname, port: Number(port), noDelay: true });
  const frames: Frame[] = [];
  let closed = false;
  let receipts = 0;
  const limits = { frameBytes: 64 * 1024 * 1024, headerBytes: 1024 * 1024, headers: 1000 };
  const parser = createFrameParser({ commands: SERVER_COMMANDS, limits: () => limits, onFrame: (f) => frames.push(f) });
  socket.on('data', (chunk) => parser.push(chunk));
  socket.on('error', () => undefined);
  socket.on('close', () => (closed = true));

  const takeWhere = async (what: string, test: (frame: Frame) => boolean): Promise<Frame> => {
    const find = (): number => frames.findIndex(test);
    await until(`${what}; there is ${frames.map(({ command }) => command).join(' ')}`, () => find() >= 0 || closed);
    const at = find();
    if (at < 0) throw new Error(`the connection was closed before ${what} came`);
    return frames.splice(at, 1)[0] as Frame;
  };
  const client: RawClient = {
    socket,
    frames,
    get closed() {
      return closed;
    },
    send(command, headers = {}, body = '') {
      socket.write(encodeFrame(command, Object.entries(headers), Buffer.from(body)));
    },
    ask(command, headers = {}, body = '') {
      const receipt = `r${++receipts}`;
      client.send(command, { ...headers, receipt }, body);
      return takeWhere(`an answer to ${command}`, (frame) => frame.headers.get('receipt-id') === receipt);
    },
    take: (command) => takeWhere(command, (frame) => frame.command === command),
    async takeMessages(count) {
      const messages: Frame[] = [];
      while (messages.length < count) messages.push(await client.take('MESSAGE'));
      return messages;
    },
    async cut() {
      openClients.delete(client);
      socket.destroy();
      await until('the socket is closed', () => closed);
    },
  };
  openClients.add(client);
  await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject));
  return client;
}

/** A client that is connected. */
export async function connectRaw(url: string, headers: Record<string, string> = {}): Promise<RawClient> {
  const client = await dial(url);
  client.send('CONNECT', { 'accept-version': '1.2', host: 'test', ...headers });
  await client.take('CONNECTED');
  return client;
}

export const bodyOf = (frame: Frame): string => frame.body.toString('utf8');
export const bodiesOf = (frames: readonly Frame[]): string[] => frames.map(bodyOf);
export const ackOf = (frame: Frame | undefined): string => frame?.headers.get('ack') ?? '';
