/** A message as the broker keeps it. */
import type { HeaderList } from './frame-encoder.js';

export interface StoredMessage {
  /** Place in the order of arrival over all queues, and the identity of the message. Never used twice. */
  readonly sequence: number;
  readonly queue: string;
  /** As the sender wrote them, without those that concern only the SEND frame. */
  readonly headers: HeaderList;
  readonly body: Buffer;
  /** True where it is in the journal. */
  readonly persistent: boolean;
  /** Milliseconds since the epoch from which on nobody may see it any more. */
  readonly expires: number | undefined;
  /** What it costs in memory, by estimate. */
  readonly bytes: number;
  /** Was handed out before. */
  redelivered: boolean;
  /** How often it came back because a consumer was lost. */
  redeliveries: number;
  /** What it takes in the journal; 0 where it is not there. */
  journalBytes: number;
}

export type NewMessage = Pick<StoredMessage, 'sequence' | 'queue' | 'headers' | 'body' | 'persistent' | 'expires'> &
  Partial<Pick<StoredMessage, 'redelivered' | 'redeliveries' | 'journalBytes'>>;

/** Objects, strings and list entries of a message, by measurement of the heap. */
const OVERHEAD = 400;
const HEADER_OVERHEAD = 80;

export function storeMessage(message: NewMessage): StoredMessage {
  let bytes = OVERHEAD + message.body.length;
  for (const [name, value] of message.headers) bytes += HEADER_OVERHEAD + name.length + value.length;
  return { redelivered: false, redeliveries: 0, journalBytes: 0, ...message, bytes };
}

export function isExpired(message: StoredMessage, now: number): boolean {
  return message.expires !== undefined && message.expires <= now;
}

/** When it came, in milliseconds since the epoch, as the broker wrote it into its headers. */
export function sentAt({ headers }: StoredMessage): number | undefined {
  const time = headers.find(([name]) => name === 'timestamp')?.[1];
  return time === undefined || !/^\d{1,15}$/.test(time) ? undefined : Number(time);
}

export const messageId = (message: StoredMessage): string => `adit-${message.sequence}`;
