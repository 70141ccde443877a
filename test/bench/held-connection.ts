/** A STOMP connection that stays open: what one round trip to the broker costs at best. */
import { connectStomp } from '../servers/stomp-peer.js';

export interface HeldConnection {
  /** A persistent SEND, until its RECEIPT is here. */
  roundTrip(): Promise<void>;
  close(): Promise<void>;
}

export async function holdConnection(url: string): Promise<HeldConnection> {
  const peer = await connectStomp(url);
  let last = 0;
  return {
    async roundTrip() {
      const receipt = `t${++last}`;
      const expires = String(Date.now() + 1_000);
      peer.write('SEND', { destination: '/queue/package/bench', persistent: 'true', expires, receipt }, 'Progress: 1%');
      // The peer of the tests looks for answers once a millisecond; a time is wanted to a fraction of that.
      while (peer.inbox.length === 0) await new Promise((resolve) => setImmediate(resolve));
      peer.inbox.length = 0;
    },
    close: () => peer.disconnect(),
  };
}
