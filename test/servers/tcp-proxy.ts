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
  /** Passes nothing on, on connections old and new, until `resume`; nobody is told. */
  stall(): void;
  /** Stalls by itself once so many bytes have passed since the start, both directions together. */
  stallAt(bytes: number): void;
  /** Breaks every connection that stands once so many bytes have passed since the start, both directions together. */
  cutAt(bytes: number): void;
  resume(): void;
  close(): Promise<void>;
}

/** Listens on a port of loopback, by default a free one, and passes everything on to `port`. */
export async function startTcpProxy(port: number, own = 0): Promise<TcpProxy> {
  const pairs = new Set<[Socket, Socket]>();
  let bytes = 0;
  let connections = 0;
  let stalled = false;
  let limit = Infinity;
  let cutLimit = Infinity;
  const server = createServer({ noDelay: true }, (near) => {
    connections += 1;
    const far = connect({ port, host: '127.0.0.1', noDelay: true });
    const pair: [Socket, Socket] = [near, far];
    pairs.add(pair);
    for (const [from, to] of [pair, [far, near] as const]) {
      from.on('data', (chunk) => {
        bytes += chunk.length;
        if (bytes > cutLimit) {
          cutLimit = Infinity;
          cut();
          return;
        }
        to.write(chunk);
        if (bytes > limit) stall();
      });
      from.on('end', () => to.end());
      // An error is followed by 'close', which ends the other side.
      from.on('error', () => undefined);
      from.on('close', () => {
        to.destroy();
        pairs.delete(pair);
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
    stall,
    stallAt(wanted) {
      limit = wanted;
    },
    cutAt(wanted) {
      cutLimit = wanted;
    },
    resume() {
      stalled = false;
      limit = Infinity;
      for (const pair of pairs) for (const socket of pair) socket.resume();
    },
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      cut();
      await closed;
    },
  };
}
