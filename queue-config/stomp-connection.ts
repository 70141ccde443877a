/** One STOMP connection: every receipt has a deadline, every ERROR frame reaches the one who caused it. */
import { isNativeError } from 'node:util/types';
import { Client, type IFrame, type IMessage, type StompSubscription } from '@stomp/stompjs';
import { BrokerRefusedError, BrokerUnavailableError } from './broker.js';
import type { BrokerAddress } from './broker-url.js';
import type { Dialect, DialectName } from './dialect.js';
import { dialectOf } from './dialects.js';
import { patience } from './patience.js';
import { openSocket } from './sockets.js';

export interface ConnectionOptions {
  /** Milliseconds until CONNECTED must have come. */
  connectTimeoutMs: number;
  /** Milliseconds until any receipt must have come. */
  receiptTimeoutMs: number;
  /** Heart-beat wanted and offered, in milliseconds: a peer silent for twice as long is lost. */
  heartbeatMs: number;
  /** Instead of the dialect of the broker that the CONNECTED frame names. */
  dialect?: DialectName | undefined;
  /** PEM certificates that are trusted beside those that Node.js trusts. */
  authority?: string | undefined;
}

export interface StompConnection {
  dialect: Dialect;
  /** Headers of the CONNECTED frame. */
  connected: Readonly<Record<string, string>>;
  url: string;
  /** Aborted when the connection is gone, with the reason. */
  lost: AbortSignal;
  /** SEND; resolves with the receipt. */
  send(destination: string, headers: Record<string, string>, body: string): Promise<void>;
  /** As `send`, without the length of the body, which some brokers take for a message of bytes. It must have no NUL. */
  sendText(destination: string, headers: Record<string, string>, body: string): Promise<void>;
  /** SEND without a receipt: nothing tells whether it arrived. */
  sendUnconfirmed(destination: string, headers: Record<string, string>, body: string): void;
  /** SUBSCRIBE. Messages may come before it is confirmed. */
  subscribe(destination: string, headers: Record<string, string>, onMessage: (message: IMessage) => void): Subscription;
  /** ACK; resolves with the receipt. */
  ack(message: IMessage): Promise<void>;
  /** ACK without a receipt: the receipt of a later one confirms it as well. */
  ackUnconfirmed(message: IMessage): void;
  /** NACK without a receipt. What a broker makes of it is the broker's own: see its dialect. */
  giveBack(message: IMessage, headers?: Readonly<Record<string, string>>): void;
  /** The same by what stands for it, or for several: see `RefuseAll`. */
  giveBackById(id: string, subscription: string, headers?: Readonly<Record<string, string>>): void;
  /** True where a message, or the ERROR in its place, came after the end of its subscription. */
  hasStrays(): boolean;
  /**
   * DISCONNECT; resolves with its receipt, by which everything before it is confirmed as well (STOMP 1.2, "DISCONNECT").
   * @throws {BrokerUnavailableError} it did not come, and the connection was cut
   */
  close(): Promise<void>;
  /** Cuts the connection. */
  drop(reason: Error): void;
  /** True where it was neither us who ended it nor a deadline of ours. */
  isCutByPeer(): boolean;
}

export interface Subscription {
  /** Resolves with the receipt of SUBSCRIBE. */
  confirmed: Promise<void>;
  /** UNSUBSCRIBE; resolves with its receipt. What was delivered and not acknowledged goes back to the queue. */
  end(): Promise<void>;
}

/**
 * Connects.
 * @throws {BrokerUnavailableError} nobody answers in time
 * @throws {BrokerRefusedError} login refused, or a broker that is not supported
 */
export async function connect(address: BrokerAddress, options: ConnectionOptions): Promise<StompConnection> {
  const where = `${address.scheme}://${address.host}:${address.port}`;
  const gone = new AbortController();
  const receipts = new Map<string, { resolve: () => void; reject: (error: Error) => void }>();
  let closing = false;
  let isCutByPeer = false;
  let socketError: Error | undefined;
  let hasStrays = false;
  let dialect: Dialect | undefined;
  let counter = 0;

  const lose = (reason: Error): void => {
    if (gone.signal.aborted) return;
    gone.abort(reason);
    for (const receipt of receipts.values()) receipt.reject(reason);
    receipts.clear();
  };

  const client = new Client({
    webSocketFactory: () => openSocket(address, options.authority),
    connectHeaders: {
      host: address.virtualHost,
      ...(address.login === undefined ? {} : { login: address.login, passcode: address.passcode ?? '' }),
    },
    reconnectDelay: 0,
    heartbeatIncoming: options.heartbeatMs,
    heartbeatOutgoing: options.heartbeatMs,
    // A closing handshake with a frozen broker would never end.
    discardWebsocketOnCommFailure: true,
  });

  const expectReceipt = (transmit: (receipt: string) => void): Promise<void> =>
    new Promise((resolve, reject) => {
      if (gone.signal.aborted) {
        reject(gone.signal.reason as Error);
        return;
      }
      const id = `r${++counter}`;
      const settle = (): void => {
        endWait();
        receipts.delete(id);
      };
      const endWait = patience(options.receiptTimeoutMs, () => {
        settle();
        reject(new BrokerUnavailableError(`${where} confirmed nothing within ${options.receiptTimeoutMs} ms`));
      });
      receipts.set(id, {
        resolve: () => {
          settle();
          resolve();
        },
        reject: (error) => {
          settle();
          reject(error);
        },
      });
      try {
        transmit(id);
      } catch (error) {
        settle();
        reject(toError(error));
      }
    });

  const drop = (reason: Error): void => {
    lose(reason);
    void client.deactivate({ force: true });
  };

  const connected = new Promise<IFrame>((resolve, reject) => {
    const endWait = patience(options.connectTimeoutMs, () => {
      const error = new BrokerUnavailableError(`${where} did not answer within ${options.connectTimeoutMs} ms`);
      reject(error);
      drop(error);
    });
    client.onConnect = (frame) => {
      endWait();
      resolve(frame);
    };
    client.onStompError = (frame) => {
      const error = refusal(where, frame);
      const receipt = receipts.get(frame.headers['receipt-id'] ?? '');
      if (receipt !== undefined) {
        receipt.reject(error);
        return;
      }
      if (dialect?.drain.stray?.test(frame.body) === true) {
        hasStrays = true;
        return;
      }
      // Not the answer to one frame: nothing on this connection can be trusted further.
      endWait();
      reject(error);
      drop(error);
    };
    client.onUnhandledMessage = () => {
      hasStrays = true;
    };
    client.onUnhandledReceipt = (frame) => receipts.get(frame.headers['receipt-id'] ?? '')?.resolve();
    client.onWebSocketError = (event: unknown) => {
      socketError = toError(event);
    };
    client.onHeartbeatLost = () => {
      socketError = new Error('the heart-beat of the broker stopped');
    };
    client.onWebSocketClose = ({ reason }: { reason?: string }) => {
      endWait();
      isCutByPeer = !closing && !gone.signal.aborted;
      // Of a WebSocket, the one who closes it may say why (RFC 6455 §7.1.6): a message that is too large, for example.
      const said = socketError?.message ?? reason ?? '';
      const why = closing ? 'closed' : `lost the connection${said === '' ? '' : `: ${said}`}`;
      const error = new BrokerUnavailableError(`${where}: ${why}`, { cause: socketError });
      reject(error);
      lose(error);
    };
  });
  client.activate();
  const frame = await connected;

  try {
    dialect = dialectOf(frame.headers['server'] ?? '', options.dialect);
  } catch (error) {
    drop(error as Error);
    throw error;
  }

  return {
    dialect,
    connected: frame.headers,
    url: where,
    lost: gone.signal,
    send: (destination, headers, body) =>
      expectReceipt((receipt) => client.publish({ destination, headers: { ...headers, receipt }, body })),
    sendText: (destination, headers, body) =>
      expectReceipt((receipt) =>
        client.publish({ destination, headers: { ...headers, receipt }, body, skipContentLengthHeader: true }),
      ),
    sendUnconfirmed: (destination, headers, body) => client.publish({ destination, headers, body }),
    subscribe(destination, headers, onMessage) {
      const guarded = (message: IMessage): void => {
        // The client swallows what a callback throws.
        try {
          onMessage(message);
        } catch (error) {
          drop(toError(error));
        }
      };
      let subscription: StompSubscription | undefined;
      const confirmed = expectReceipt((receipt) => {
        subscription = client.subscribe(destination, guarded, { ...headers, receipt });
      });
      return { confirmed, end: () => expectReceipt((receipt) => subscription?.unsubscribe({ receipt })) };
    },
    ack: (message) => expectReceipt((receipt) => message.ack({ receipt })),
    ackUnconfirmed: (message) => message.ack(),
    giveBack: (message, headers) => {
      if (!gone.signal.aborted) message.nack({ ...headers });
    },
    giveBackById: (id, subscription, headers) => client.nack(id, subscription, { ...headers }),
    hasStrays: () => hasStrays,
    async close() {
      if (gone.signal.aborted) throw gone.signal.reason;
      closing = true;
      const confirmed = new Promise<void>((resolve, reject) => {
        client.onDisconnect = () => resolve();
        gone.signal.addEventListener('abort', () => reject(gone.signal.reason as Error), { once: true });
      });
      const endWait = patience(options.receiptTimeoutMs, () =>
        drop(new BrokerUnavailableError(`${where} did not confirm the end of the connection`)),
      );
      // The promise of `deactivate` waits for the socket's end, too, which nobody has to.
      void client.deactivate();
      try {
        await confirmed;
      } finally {
        endWait();
        lose(new BrokerUnavailableError(`${where}: closed`));
      }
    },
    drop,
    isCutByPeer: () => isCutByPeer,
  };
}

function refusal(where: string, frame: IFrame): BrokerRefusedError {
  const [line = '', ...others] = frame.body.trim().split('\n');
  // RabbitMQ says in the header which fault it is, and of what in the body; ActiveMQ's body is a stack trace.
  const detail = others.length === 0 && line !== '' ? line : undefined;
  const said = detail ?? frame.headers['message'] ?? (line || 'no reason given');
  return new BrokerRefusedError(`${where} refused: ${said}`);
}

/** `instanceof` would not do: an error of Node.js's own is no `Error` of a context that it was not made in. */
function toError(event: unknown): Error {
  if (isNativeError(event)) return event;
  const inner: unknown = typeof event === 'object' && event !== null && 'error' in event ? event.error : undefined;
  return isNativeError(inner) ? inner : new Error('the socket failed');
}
