/** Heart-beats both ways, and peers that take nothing. */
import type { Transport } from './transport.js';

export interface Liveness {
  /** The peer sent something. */
  noteReceived(): void;
  /** We sent something. */
  noteSent(): void;
  /** Reading is suspended by us, or goes on: silence is not the peer's fault meanwhile. */
  suspend(suspended: boolean): void;
  stop(): void;
}

export interface LivenessOptions {
  transport: Transport;
  /** Milliseconds within which we send something; 0 for no promise. */
  sendEvery: number;
  /** Milliseconds within which the peer has promised to send something; 0 for no promise. */
  receiveEvery: number;
  /** Milliseconds for which a peer may take nothing of what waits for it, while reading is suspended. */
  stalledMs: number;
  onDead: (reason: string) => void;
}

const HEART_BEAT = Buffer.from('\n');

export function watchLiveness({ transport, sendEvery, receiveEvery, stalledMs, onDead }: LivenessOptions): Liveness {
  let received = Date.now();
  let sent = Date.now();
  let checked = Date.now();
  const checkEvery = Math.max(20, receiveEvery > 0 ? Math.min(receiveEvery / 4, stalledMs) : stalledMs / 4);
  let suspended: { backlog: number; progress: number } | undefined;

  function beat(): void {
    if (Date.now() - sent < sendEvery / 2) return;
    sent = Date.now();
    if (transport.backlog === 0) transport.send(HEART_BEAT);
  }

  function checkPeer(): void {
    const now = Date.now();
    // When it was this process that slept, what the peer sent meanwhile has not been read yet.
    if (now - checked > 2 * checkEvery + 200) received = now;
    checked = now;
    if (suspended === undefined) {
      if (receiveEvery > 0 && now - received > 2 * receiveEvery) {
        onDead(`no heart-beat for ${now - received} ms, promised every ${receiveEvery} ms`);
      }
      return;
    }
    if (transport.backlog < suspended.backlog) suspended.progress = now;
    suspended.backlog = transport.backlog;
    if (now - suspended.progress > stalledMs) onDead(`took none of ${transport.backlog} bytes for ${stalledMs} ms`);
  }

  const beating = sendEvery > 0 ? setInterval(beat, sendEvery / 2) : undefined;
  const checking = setInterval(checkPeer, checkEvery);

  return {
    noteReceived: () => (received = Date.now()),
    noteSent: () => (sent = Date.now()),
    suspend(now) {
      suspended = now ? { backlog: transport.backlog, progress: Date.now() } : undefined;
      received = Date.now();
    },
    stop() {
      clearInterval(beating);
      clearInterval(checking);
    },
  };
}
