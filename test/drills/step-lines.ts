/** Lines from one process to its servers, on which it is struck down at the n-th thing that it says to any of them. */
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** `before`: it is not passed on. `after`: the server has acted on it, but its answer is not passed on. */
export type Moment = 'before' | 'after';

export interface StepLines {
  /** A line to a port of loopback. @returns the line's own port */
  to(port: number): Promise<number>;
  /** From now on, the `step`-th thing said makes `strike` be called; once. */
  arm(step: number, moment: Moment, strike: () => void): void;
  /** Strikes no more. @returns how many things were said since it was armed */
  disarm(): number;
  close(): Promise<void>;
}

/** By then the server has acted, also on what it does not answer: milliseconds. */
const NO_ANSWER = 200;

export function createStepLines(): StepLines {
  const servers: Server[] = [];
  const sockets = new Set<Socket>();
  let said = 0;
  let trap: { step: number; moment: Moment; strike: () => void } | undefined;

  const listen = async (port: number): Promise<number> => {
    const server = createServer({ noDelay: true }, (near) => {
      const far = connect({ port, host: '127.0.0.1', noDelay: true });
      let isShut = false;
      near.on('data', (chunk: Buffer) => {
        if (isShut) return;
        said += 1;
        if (trap?.step !== said) {
          far.write(chunk);
          return;
        }
        const { moment, strike } = trap;
        trap = undefined;
        isShut = true;
        if (moment === 'before') strike();
        else {
          const answered = once(far, 'data').catch(() => undefined);
          far.write(chunk);
          void Promise.race([answered, sleep(NO_ANSWER)]).then(strike);
        }
      });
      far.on('data', (chunk: Buffer) => {
        if (!isShut) near.write(chunk);
      });
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
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    servers.push(server);
    return (server.address() as AddressInfo).port;
  };

  return {
    to: listen,
    arm(step, moment, strike) {
      said = 0;
      trap = { step, moment, strike };
    },
    disarm() {
      trap = undefined;
      return said;
    },
    async close() {
      const closed = servers.map((server) => new Promise((resolve) => server.close(resolve)));
      for (const socket of sockets) socket.destroy();
      await Promise.all(closed);
    },
  };
}

/** The same URL, through another port of loopback. */
export function throughPort(url: string, port: number): string {
  const through = new URL(url);
  through.port = String(port);
  return through.href;
}
