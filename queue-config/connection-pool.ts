/** Connections for single operations, kept for a moment where the next operation comes at once. */
import { BrokerUnavailableError } from './broker.js';
import type { StompConnection } from './stomp-connection.js';

export interface ConnectionPool {
  /**
   * Runs `work` on a connection that is its own meanwhile. Where `work` throws, the connection is cut. One that had been kept and
   * turns out to be dead is replaced, and `work` is run again: it has to bear that.
   */
  use<T>(work: (connection: StompConnection) => Promise<T>): Promise<T>;
  /** Ends the connections that are kept; those in use end with their work. */
  close(): void;
}

/** Milliseconds for which a connection waits for its next work: shorter than any heart-beat, so that silence stays silence. */
const KEPT = 1_000;
/** How many wait at the most. */
const MOST_KEPT = 4;
/** Some brokers keep something of every subscription for as long as its connection lives. */
const MOST_USES = 50;

export function createConnectionPool(connect: () => Promise<StompConnection>): ConnectionPool {
  // The one used last is used next, so that the others' time runs out.
  const kept: { connection: StompConnection; timer: NodeJS.Timeout }[] = [];
  const uses = new WeakMap<StompConnection, number>();
  let isClosed = false;

  const takeKept = (): StompConnection | undefined => {
    for (;;) {
      const last = kept.pop();
      if (last === undefined) return undefined;
      clearTimeout(last.timer);
      if (!last.connection.lost.aborted) return last.connection;
    }
  };

  const keep = (connection: StompConnection): void => {
    const used = (uses.get(connection) ?? 0) + 1;
    uses.set(connection, used);
    if (isClosed || connection.lost.aborted || used >= MOST_USES || kept.length >= MOST_KEPT) {
      end(connection);
      return;
    }
    const timer = setTimeout(() => {
      kept.splice(
        kept.findIndex((each) => each.connection === connection),
        1,
      );
      end(connection);
    }, KEPT);
    kept.push({ connection, timer });
  };

  return {
    async use(work) {
      for (;;) {
        const known = takeKept();
        const connection = known ?? (await connect());
        try {
          const result = await work(connection);
          keep(connection);
          return result;
        } catch (error) {
          const wasDead = known !== undefined && connection.isCutByPeer();
          connection.drop(error as Error);
          if (!wasDead) throw error;
        }
      }
    },
    close() {
      isClosed = true;
      for (const { connection, timer } of kept.splice(0)) {
        clearTimeout(timer);
        connection.drop(new BrokerUnavailableError('the broker port was closed'));
      }
    },
  };
}

/** Its work is confirmed: how it ends is nobody's concern any more. */
function end(connection: StompConnection): void {
  connection.close().catch(() => undefined);
}
