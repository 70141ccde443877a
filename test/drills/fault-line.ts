/** A line to a server that can refuse, delay, throttle and cut: what networks and overloaded stores do. */
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

export interface Weather {
  /** Breaks every connection as soon as it is made. */
  refuses?: boolean;
  /** Milliseconds before each piece is passed on. */
  delay?: number;
  /** How many bytes a connection passes on before it is cut, in the middle of whatever it is. */
  cutAfter?: () => number;
}

export interface FaultLine {
  readonly port: number;
  /** Connections that stand now. */
  open(): number;
  /** Also for the connections that stand. */
  weather(weather: Weather): void;
  close(): Promise<void>;
}

const PIECE = 64 * 1024;

/**
 * @param bytesPerSecond of each connection and direction, in any weather
 * @param onSaid hears what comes for the server, before it is passed on
 */
export async function startFaultLine(
  port: number,
  bytesPerSecond = Infinity,
  onSaid?: (bytes: Buffer) => void,
): Promise<FaultLine> {
  const sockets = new Set<Socket>();
  let now: Weather = {};

  const pass = async (
    from: Socket,
    to: Socket,
    left: { bytes: number },
    onPiece?: (bytes: Buffer) => void,
  ): Promise<void> => {
    for await (const chunk of from) {
      const bytes = chunk as Buffer;
      onPiece?.(bytes);
      for (let start = 0; start < bytes.length; start += PIECE) {
        const piece = bytes.subarray(start, start + PIECE);
        const pause = (now.delay ?? 0) + (piece.length / bytesPerSecond) * 1000;
        if (pause >= 1) await sleep(pause);
        left.bytes -= piece.length;
        const isCut = left.bytes < 0;
        const passed = isCut ? piece.subarray(0, piece.length + left.bytes) : piece;
        if (!to.write(passed)) await Promise.race([once(to, 'drain'), once(to, 'close')]);
        if (isCut) throw new Error('cut');
      }
    }
    to.end();
  };

  const server = createServer({ noDelay: true }, (near) => {
    if (now.refuses === true) {
      near.on('error', () => undefined);
      near.resetAndDestroy();
      return;
    }
    const far = connect({ port, host: '127.0.0.1', noDelay: true });
    const left = { bytes: now.cutAfter?.() ?? Infinity };
    const end = (): void => {
      near.destroy();
      far.destroy();
    };
    for (const socket of [near, far]) {
      sockets.add(socket);
      // An error is followed by 'close'.
      socket.on('error', () => undefined);
      socket.on('close', () => {
        sockets.delete(socket);
        end();
      });
    }
    void pass(near, far, left, onSaid).catch(end);
    void pass(far, near, left).catch(end);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    open: () => sockets.size / 2,
    weather(weather) {
      now = weather;
      if (weather.refuses === true || weather.cutAfter !== undefined) for (const socket of sockets) socket.destroy();
    },
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}
