/** A line that, once set, swallows the next message of a kind and all behind it: such as the moment between commit and acknowledgement. */
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

export interface Trap {
  port: number;
  set(): void;
  /** Resolves when one was swallowed. */
  sprung: Promise<void>;
  close(): Promise<void>;
}

/** For the ACKs of a STOMP client. */
export const startAckTrap = (brokerPort: number): Promise<Trap> => startTrap(brokerPort, /(^|\0|\n)ACK\n/);

/** @param beginning of what it swallows; a client writes one message at a time, so it starts where a chunk does */
export async function startTrap(port: number, beginning: RegExp): Promise<Trap> {
  const sockets = new Set<Socket>();
  let isSet = false;
  let spring: () => void = () => undefined;
  const sprung = new Promise<void>((resolve) => (spring = resolve));
  const server = createServer({ noDelay: true }, (near) => {
    const far = connect({ port, host: '127.0.0.1', noDelay: true });
    let isShut = false;
    near.on('data', (chunk: Buffer) => {
      isShut ||= isSet && beginning.test(chunk.toString('latin1'));
      if (isShut) spring();
      else far.write(chunk);
    });
    far.on('data', (chunk: Buffer) => near.write(chunk));
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(one);
      one.on('error', () => undefined);
      one.on('close', () => {
        sockets.delete(one);
        other.destroy();
      });
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    set() {
      isSet = true;
    },
    sprung,
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}
