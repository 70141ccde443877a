/** What the embedded broker puts up with. Each limit is named in the ERROR frame of whoever runs into it. */

const KIB = 1024;
const MIB = 1024 * KIB;

export interface Limits {
  /** Command, headers and body of one frame, in bytes. */
  frameBytes: number;
  /** Command and headers of one frame, in bytes. */
  headerBytes: number;
  /** Header lines of one frame. */
  headers: number;
  /** Messages on one queue, those out for acknowledgement included. */
  queueDepth: number;
  /** Queues at a time. */
  queues: number;
  /** All messages, in bytes. */
  memoryBytes: number;
  /** All frames of which a part has arrived, in bytes. */
  arrivingBytes: number;
  /** Connections at a time. */
  connections: number;
  /** Subscriptions of one connection. */
  subscriptions: number;
  /** Milliseconds from the connection to its CONNECT frame. */
  connectMs: number;
  /** Bytes waiting for a slow peer above which it gets no further message. */
  outgoingBytes: number;
  /** Milliseconds for which a peer with more than that waiting may take nothing before it is cut off. */
  stalledMs: number;
  /** Unacknowledged messages of a subscription that asks for no smaller number. */
  prefetch: number;
  /** How often a message comes again after a lost connection before it is a dead letter. */
  maxRedeliveries: number;
  /** Milliseconds after which a queue with no message and no consumer is removed. */
  idleQueueMs: number;
  /** Milliseconds between two looks for expired messages and idle queues. */
  sweepMs: number;
  /** The shortest heart-beat, in milliseconds, that this broker sends and asks for. */
  heartBeatMs: number;
  /** Size of the journal, in bytes, below which it is never compacted. */
  compactBytes: number;
}

export const DEFAULT_LIMITS: Readonly<Limits> = {
  frameBytes: 16 * MIB,
  headerBytes: 64 * KIB,
  headers: 100,
  queueDepth: 100_000,
  queues: 100_000,
  memoryBytes: 256 * MIB,
  arrivingBytes: 128 * MIB,
  connections: 1_000,
  subscriptions: 1_000,
  connectMs: 10_000,
  outgoingBytes: 8 * MIB,
  stalledMs: 60_000,
  prefetch: 1_000,
  maxRedeliveries: 6,
  idleQueueMs: 600_000,
  sweepMs: 1_000,
  heartBeatMs: 1_000,
  compactBytes: 4 * MIB,
};

/** Unacknowledged messages of a drain. */
export const DRAIN_WINDOW = 100;

/** A frame before CONNECT is a CONNECT: nobody unknown makes the broker hold more than this. */
export const FRAME_BYTES_BEFORE_CONNECT = 16 * KIB;
