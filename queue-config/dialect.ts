/** What differs from broker to broker. Each broker's own is `dialect.ts` in its folder; `dialects.ts` knows them all. */
import type { Destination } from './destinations.js';

export const DIALECT_NAMES = ['adit', 'activemq', 'artemis', 'rabbitmq'] as const;
export type DialectName = (typeof DIALECT_NAMES)[number];

export interface Dialect {
  readonly name: DialectName;
  /** As people call it. */
  readonly title: string;
  /** The `server` headers of CONNECTED by which it is recognised. */
  readonly servers: RegExp;
  /** The canonical name as this broker wants it. */
  spell(destination: Destination): string;
  /** The other way round, where the broker does not take a canonical name even in a header (`reply-to`). */
  canonical?(name: string): string;
  /** As `spell`, for a SEND, where that wants another. The fence of a drain goes to the queue itself. */
  spellForSend?(destination: Destination): string;
  /** Headers of a SEND to `destination`. */
  sendHeaders(destination: Destination): Readonly<Record<string, string>>;
  /** Headers of a SEND whose message the broker may throw away at `expires`, in milliseconds since the epoch. */
  expiryHeaders(expires: number): Readonly<Record<string, string>>;
  /** Headers of each of the SUBSCRIBEs that together hold at most `prefetch` unacknowledged messages. */
  prefetch(prefetch: number): readonly Readonly<Record<string, string>>[];
  /**
   * True where a connection makes a queue once, at its first SEND, and does not see that it has gone since: its later messages are
   * lost in silence. What belongs to a delivery then goes over a connection of the delivery's own.
   */
  readonly publishesApart?: boolean;
  readonly drain: DrainRules;
}

/**
 * A NACK of everything that was delivered on a connection and not acknowledged. A message is known by its subscription's name, and the
 * subscription has ended, so another one takes its name, to a queue on which nothing ever comes.
 */
export interface RefuseAll {
  silentQueue(): string;
  /** Of the SUBSCRIBE to it. */
  readonly subscribeHeaders: Readonly<Record<string, string>>;
  /** What stands for every message in the NACK, by what stands for one of them (its header `ack`). */
  everything(ack: string): string;
}

/** How a drain of a queue is told where the end is, and what becomes of the messages on the way. */
export type DrainRules = {
  /**
   * Headers of its SUBSCRIBE, beside `ack`. `fence` is the id of its own, where there is one; `batch` is how many messages are
   * acknowledged in one go, at the latest: no more of them need be under way.
   */
  subscribeHeaders(fence: string, batch: number): Readonly<Record<string, string>>;
  /** `client`: an acknowledgement holds for all before it as well. */
  readonly ack: 'client' | 'client-individual';
  /**
   * How it ends. Messages that came behind the end go back with an UNSUBSCRIBE; or they stay ours after it, and have to be given back
   * by a NACK of everything.
   */
  readonly leave: 'unsubscribe' | RefuseAll;
  /** Where a message is confirmed and kept nowhere: its receipt says that everything before it has been answered. */
  readonly nowhere?: string;
  /** What is said in the ERROR that takes the place of a message which was under way when its subscription ended. */
  readonly stray?: RegExp;
} & (
  | {
      /** A message that the broker sends after the last one; it is not acknowledged. */
      readonly end: 'marker';
      isMarker(headers: Readonly<Record<string, string>>): boolean;
    }
  | {
      /** A message with the header `fence` that the drain sends itself, and waits for. */
      readonly end: 'fence';
      /** Headers of the NACK that gives another drain's fence back, where the broker does not keep those away. */
      readonly giveBackHeaders?: Readonly<Record<string, string>>;
    }
);
