/** A line to the broker that, once set, swallows the next ACK and all behind it: the moment between commit and acknowledgement. */
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

export interface AckTrap {
  port: number;
  set(): void;
  /** Resolves when an ACK was swallowed. */
  sprung: Promise<void>;
  close(): Promise<void>;
}

export async function startAckTrap(brokerPort: number): Promise<AckTrap> {
  const sockets = new Set<Socket>();
  let isSet = false;
  let spring: () => void = () => undefined;
  const sprung = new Promise<void>((resolve) => (spring = resolve));
  const server = createServer({ noDelay: true }, (near) => {
    const far = connect({ port: brokerPort, host: '127.0.0.1', noDelay: true });
    let isShut = false;
    near.on('data', (chunk: Buffer) => {
      // The client writes one frame at a time, so a frame starts where a chunk does.
      isShut ||= isSet && /(^|\0|\n)ACK\n/.test(chunk.toString('latin1'));
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
