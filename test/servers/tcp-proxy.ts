/** A TCP proxy that counts what passes and can cut or stall it: shows that nobody talks, and makes networks fail. */
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

export interface TcpProxy {
  readonly port: number;
  /** Bytes that passed since the start, both directions together. */
  bytes(): number;
  /** Connections made since the start. */
  connections(): number;
  /** Connections that stand now. */
  open(): number;
  /** Breaks every connection that stands; new ones are let through. */
  cut(): void;
  /** Breaks the connection that was made last. */
  cutNewest(): void;
  /** Breaks the next connection as soon as it is made. */
  refuseNext(): void;
  /** Passes nothing on, on connections old and new, until `resume`; nobody is told. */
  stall(): void;
  /** Stalls by itself once so many bytes have passed since the start, both directions together. */
  stallAt(bytes: number): void;
  /** Breaks every connection that stands once so many bytes have passed since the start, both directions together. */
  cutAt(bytes: number): void;
  /** Breaks the next connection over which this text is sent, once there is an answer, which does not get through. */
  cutAnswerTo(text: string): void;
  /** Answers that did not get through for that. */
  answersCut(): number;
  resume(): void;
  /** Shown all that comes from the other side, from now on. */
  watch(onText: (text: string) => void): void;
  close(): Promise<void>;
}

/**
 * Listens on a port of loopback, by default a free one, and passes everything on to `port`.
 * @param lingerMs how much later it passes on that a connection has ended
 */
export async function startTcpProxy(port: number, own = 0, { lingerMs = 0 } = {}): Promise<TcpProxy> {
  const pairs = new Set<[Socket, Socket]>();
  let bytes = 0;
  let connections = 0;
  let stalled = false;
  let limit = Infinity;
  let cutLimit = Infinity;
  let answersCut = 0;
  let unanswered: string | undefined;
  let refusesNext = false;
  let watcher: ((text: string) => void) | undefined;
  const lingering = new Set<NodeJS.Timeout>();
  const later = (end: () => void): void => {
    if (lingerMs === 0) {
      end();
      return;
    }
    const timer = setTimeout(() => {
      lingering.delete(timer);
      end();
    }, lingerMs);
    lingering.add(timer);
  };
  const server = createServer({ noDelay: true, allowHalfOpen: lingerMs > 0 }, (near) => {
    connections += 1;
    if (refusesNext) {
      refusesNext = false;
      near.destroy();
      return;
    }
    const far = connect({ port, host: '127.0.0.1', noDelay: true });
    const pair: [Socket, Socket] = [near, far];
    pairs.add(pair);
    let isUnanswered = false;
    for (const [from, to] of [pair, [far, near] as const]) {
      from.on('data', (chunk) => {
        bytes += chunk.length;
        if (bytes > cutLimit) {
          cutLimit = Infinity;
          cut();
          return;
        }
        if (from === near && unanswered !== undefined && chunk.includes(unanswered)) {
          unanswered = undefined;
          isUnanswered = true;
        }
        if (from === far && isUnanswered) {
          answersCut += 1;
          near.destroy();
          return;
        }
        if (from === far) watcher?.(chunk.toString());
        to.write(chunk);
        if (bytes > limit) stall();
      });
      from.on('end', () => later(() => to.end()));
      // An error is followed by 'close', which ends the other side.
      from.on('error', () => undefined);
      from.on('close', () => {
        later(() => {
          to.destroy();
          pairs.delete(pair);
        });
      });
      if (stalled) from.pause();
    }
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ port: own, host: '127.0.0.1' }, resolve);
  });
  const stall = (): void => {
    stalled = true;
    for (const pair of pairs) for (const socket of pair) socket.pause();
  };
  const cut = (): void => {
    for (const pair of pairs) for (const socket of pair) socket.destroy();
  };
  return {
    port: (server.address() as AddressInfo).port,
    bytes: () => bytes,
    connections: () => connections,
    open: () => pairs.size,
    cut,
    cutNewest: () => [...pairs].at(-1)?.forEach((socket) => socket.destroy()),
    refuseNext() {
      refusesNext = true;
    },
    stall,
    stallAt(wanted) {
      limit = wanted;
    },
    cutAt(wanted) {
      cutLimit = wanted;
    },
    cutAnswerTo(text) {
      unanswered = text;
    },
    answersCut: () => answersCut,
    watch(onText) {
      watcher = onText;
    },
    resume() {
      stalled = false;
      limit = Infinity;
      for (const pair of pairs) for (const socket of pair) socket.resume();
    },
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const timer of lingering) clearTimeout(timer);
      cut();
      await closed;
    },
  };
}
