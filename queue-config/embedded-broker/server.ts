/** Starts the broker and stops it. */
import { mkdir } from 'node:fs/promises';
import { lockFolder } from './folder-lock.js';
import { openJournal } from './journal.js';
import { DEFAULT_LIMITS, type Limits } from './limits.js';
import { listenTcp, listenWebSocket } from './listeners.js';
import type { Log } from './log-event.js';
import { createLoginCheck, type Account } from './login.js';
import type { StoredMessage } from './message.js';
import { createQueues, type QueueFigures } from './queues.js';
import { overLimit } from './refusal.js';
import { createSession, type Session, type SessionOptions } from './session.js';
import type { Transport, TransportEvents } from './transport.js';

export interface EmbeddedBrokerOptions {
  /** Default 127.0.0.1. */
  host?: string;
  /** Default 0: any that is free. */
  port?: number;
  /** 0: any that is free; undefined: no WebSocket. */
  webSocketPort?: number | undefined;
  /** Where the journal lies; made where it is missing. */
  folder: string;
  /** Undefined: nobody is asked for a login. */
  accounts?: readonly Account[] | undefined;
  limits?: Partial<Limits>;
  log?: Log;
}

export interface EmbeddedBroker {
  /** `stomp://host:port`, without credentials. */
  readonly url: string;
  readonly webSocketUrl?: string;
  statistics(): {
    connections: number;
    queues: QueueFigures[];
  };
  /** Closes every connection and file. Persistent messages are kept, others are gone. */
  stop(): Promise<void>;
}

/** @throws {Error} when a port is taken, or the folder is in use or holds something else */
export async function startEmbeddedBroker(options: EmbeddedBrokerOptions): Promise<EmbeddedBroker> {
  const { host = '127.0.0.1', port = 0, webSocketPort, folder, accounts, log = () => undefined } = options;
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  const releases = createReleases();
  try {
    await mkdir(folder, { recursive: true });
    releases.push(await lockFolder(folder, log));

    let live = (): readonly StoredMessage[] => [];
    const { compactBytes } = limits;
    const { journal, recovered } = await openJournal({ folder, compactBytes, live: () => live(), log });
    releases.push(() => journal.close());

    const queues = createQueues({ limits, journal, recovered, log });
    live = () => queues.persistentMessages();
    const sweeping = setInterval(() => queues.sweep(Date.now()), limits.sweepMs);
    releases.push(() => clearInterval(sweeping));

    const mayLogIn = accounts === undefined ? undefined : createLoginCheck(accounts);
    const reception = createReception({ queues, limits, durable: () => journal.durable(), mayLogIn, log });
    const accept = (transport: Transport): TransportEvents => reception.accept(transport);
    const tcp = await listenTcp({ host, port, limits, accept });
    releases.push(() => tcp.close());
    const webSocket =
      webSocketPort === undefined
        ? undefined
        : await listenWebSocket({ host, port: webSocketPort, limits, foreignPages: accounts !== undefined, accept });
    releases.push(() => webSocket?.close());
    // First of all: a connection that is cut because the broker stops gives nothing back.
    releases.push(() => reception.close());

    log({ event: 'listening', url: tcp.url, webSocketUrl: webSocket?.url, recovered: recovered.length });
    let stopping: Promise<void> | undefined;
    return {
      url: tcp.url,
      ...(webSocket === undefined ? {} : { webSocketUrl: webSocket.url }),
      statistics: () => ({ connections: reception.size, queues: queues.statistics() }),
      stop: () => (stopping ??= releases.run()),
    };
  } catch (error) {
    await releases.run().catch(() => undefined);
    throw error;
  }
}

/** Where connections of both kinds come in. */
function createReception(parts: Pick<SessionOptions, 'queues' | 'limits' | 'durable' | 'mayLogIn' | 'log'>) {
  const sessions = new Set<Session>();
  const arriving = { bytes: 0 };
  let counter = 0;
  let isClosed = false;
  return {
    get size() {
      return sessions.size;
    },
    accept(transport: Transport): TransportEvents {
      const number = ++counter;
      const session = createSession({
        ...parts,
        arriving,
        number,
        transport,
        onClosed: () => sessions.delete(session),
      });
      sessions.add(session);
      // Its listener is still open: the other one is closed first.
      if (isClosed) queueMicrotask(() => session.abandon());
      const limit = parts.limits.connections;
      if (sessions.size > limit) {
        // The transport has to be complete before it can carry an ERROR frame.
        queueMicrotask(() => session.refuse(overLimit('this broker', limit, 'connections', { fatal: true })));
      }
      return session;
    },
    close(): void {
      isClosed = true;
      for (const session of sessions) session.abandon();
    },
  };
}

/** What was acquired is released in reverse order; all of it, and the first error is kept. */
function createReleases() {
  const releases: (() => unknown)[] = [];
  return {
    push: (release: () => unknown) => void releases.push(release),
    async run(): Promise<void> {
      const errors: unknown[] = [];
      for (let release = releases.pop(); release !== undefined; release = releases.pop()) {
        try {
          await release();
        } catch (error) {
          errors.push(error);
        }
      }
      if (errors.length > 0) throw errors[0];
    },
  };
}
