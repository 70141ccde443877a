/** The messages of a queue that nobody holds, in the order of arrival. */
import { isExpired, type StoredMessage } from './message.js';

export interface ReadyList {
  readonly length: number;
  first(): StoredMessage | undefined;
  shift(): StoredMessage | undefined;
  /** The first of them, where they are. */
  head(count: number): StoredMessage[];
  /** Adds one that is newer than all. */
  push(message: StoredMessage): void;
  /** Puts some back where they were. */
  putBack(messages: readonly StoredMessage[]): void;
  /** Takes out what has expired. */
  takeExpired(now: number): StoredMessage[];
}

const GAP_TO_CLOSE = 1_024;

export function createReadyList(): ReadyList {
  let items: StoredMessage[] = [];
  // What is before `head` is gone: Array.shift would move a hundred thousand entries for each message.
  let head = 0;
  // No message here expires before this moment.
  let earliestExpiry = Infinity;

  const noteExpiry = (message: StoredMessage): void => {
    if (message.expires !== undefined && message.expires < earliestExpiry) earliestExpiry = message.expires;
  };

  const list: ReadyList = {
    get length() {
      return items.length - head;
    },
    first: () => items[head],
    head: (count) => items.slice(head, head + count),
    shift() {
      const message = items[head];
      if (message === undefined) return undefined;
      // Released at once, though its place is closed later.
      items[head++] = undefined as unknown as StoredMessage;
      if (head === items.length || (head >= GAP_TO_CLOSE && head * 2 > items.length)) {
        items = items.slice(head);
        head = 0;
      }
      return message;
    },
    push(message) {
      noteExpiry(message);
      items.push(message);
    },
    putBack(messages) {
      if (messages.length === 0) return;
      messages.forEach(noteExpiry);
      const sorted = messages.toSorted((a, b) => a.sequence - b.sequence);
      const newest = sorted[sorted.length - 1]?.sequence ?? 0;
      // Most often all of them are older than all that wait.
      let older = head;
      while (older < items.length && (items[older]?.sequence ?? Infinity) < newest) older++;
      const front = [...sorted, ...items.slice(head, older)].sort((a, b) => a.sequence - b.sequence);
      items = front.concat(items.slice(older));
      head = 0;
    },
    takeExpired(now) {
      if (now < earliestExpiry) return [];
      const expired: StoredMessage[] = [];
      const kept: StoredMessage[] = [];
      earliestExpiry = Infinity;
      for (const message of items.slice(head)) {
        if (isExpired(message, now)) {
          expired.push(message);
        } else {
          kept.push(message);
          noteExpiry(message);
        }
      }
      items = kept;
      head = 0;
      return expired;
    },
  };
  return list;
}
