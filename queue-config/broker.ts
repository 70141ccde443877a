/** The broker port: what the two sides need of a message broker, whichever broker it is. */
import type { Destination } from './destinations.js';

/** A message to send. */
export interface OutgoingMessage {
  destination: Destination;
  /** Ids and numbers only: free text belongs in the body (STOMP clients disagree about escapes). */
  headers: Readonly<Record<string, string>>;
  /** UTF-8 text. */
  body: string;
  /** True where the broker has to keep the message over a crash. */
  persistent: boolean;
  /** When the broker may throw the message away, in milliseconds since the epoch; undefined: never. */
  expires?: number | undefined;
}

/** A message as it came. Header names are those of the frame. */
export interface ReceivedMessage {
  headers: Readonly<Record<string, string>>;
  body: string;
}

/** A message handed to one consumer. It stays the broker's until `ack` resolves. */
export interface Delivery {
  message: ReceivedMessage;
  /**
   * Aborted when the connection that brought this delivery is lost: from then on the broker may hand the message
   * to somebody else, so the work on it has to stop.
   */
  lost: AbortSignal;
  /**
   * Sends on the connection that brought the delivery, so that a consumer that lost its delivery cannot speak for it.
   * Resolves when the broker has confirmed it.
   */
  publish(message: OutgoingMessage): Promise<void>;
  /** Resolves when the broker has confirmed the acknowledgement. Acknowledging twice does nothing. */
  ack(): Promise<void>;
}

/** A running consumer. */
export interface Consumer {
  /** True while a connection stands and the subscription on it is confirmed. */
  readonly connected: boolean;
  /** Resolves when the first subscription is confirmed. */
  readonly ready: Promise<void>;
  /** Takes no further delivery, waits for the running ones to settle, disconnects. */
  stop(): Promise<void>;
  /** Disconnects at once: what is not acknowledged goes back to the broker. */
  abandon(): Promise<void>;
}

export interface ConsumeOptions {
  /** How many unacknowledged deliveries this consumer holds at a time. */
  prefetch: number;
  /** Told about connections made and lost, for the log. */
  onConnectionChange?: (change: { connected: boolean; url: string; reason?: string }) => void;
}

export interface DrainOptions {
  /** Aborts the drain; what was not acknowledged stays on the queue. */
  signal?: AbortSignal;
  /** Milliseconds for the whole drain, once connected; default 5,000. */
  timeoutMs?: number;
  /** Where the queue is longer the drain ends before its end, once it has read as much; undefined: it reads all. */
  limit?: DrainLimit | undefined;
  /**
   * With it the drain does not wait until the broker has confirmed the last acknowledgements, which takes a round trip. Called
   * where it then does not confirm them: messages that were handed over may come again.
   */
  onUnconfirmed?: ((error: unknown) => void) | undefined;
}

/** How much one drain reads. It ends behind the batch that has reached either. */
export interface DrainLimit {
  messages: number;
  /** Of all bodies together; in characters, which are bytes for whatever is written by a program of ours. */
  characters: number;
}

/** What a drain did. */
export interface DrainReport {
  /** Messages handed to `onBatch` and acknowledged. */
  drained: number;
  /** False where the limit was reached before the end: the rest is still on the queue. */
  isComplete: boolean;
}

/** A broker, or a list of them that fail over. */
export interface Broker {
  /**
   * Sends one message and resolves when the broker has confirmed it. In a rare fault (a broker that goes away in just that moment) it may
   * be there twice.
   * @throws {BrokerUnavailableError} nobody answered, or not in time: the message may or may not be there
   * @throws {BrokerRefusedError} the broker said no
   */
  publish(message: OutgoingMessage): Promise<void>;

  /**
   * Consumes a queue with client-individual acknowledgement, connecting again after every loss until stopped.
   * `onDelivery` is called for up to `prefetch` deliveries at a time. When it throws, the delivery is left
   * unacknowledged and the connection is dropped, so that the broker hands the message out again.
   */
  consume(
    destination: Destination,
    options: ConsumeOptions,
    onDelivery: (delivery: Delivery) => Promise<void>,
  ): Consumer;

  /**
   * Reads everything that is on a queue at this moment, in order, to a deterministic end, on a connection that nobody else uses meanwhile.
   * Each batch (at most 100 messages) is acknowledged after `onBatch` resolved; where it throws, the batch and all behind it
   * stay on the queue and the error comes out of `drain`.
   * @throws {BrokerUnavailableError} nobody answered, or the end did not come in time
   * @throws {BrokerRefusedError} the broker said no
   */
  drain(
    destination: Destination,
    onBatch: (messages: ReceivedMessage[]) => Promise<void>,
    options?: DrainOptions,
  ): Promise<DrainReport>;

  /** Ends every consumer and every connection. */
  close(): Promise<void>;
}

/** The broker cannot be reached, or did not answer in time. */
export class BrokerUnavailableError extends Error {
  override readonly name = 'BrokerUnavailableError';
}

/** The broker answered with an ERROR frame: wrong login, no permission, queue full… */
export class BrokerRefusedError extends Error {
  override readonly name = 'BrokerRefusedError';
}
