/** A STOMP connection that stays open: what one round trip to the broker costs a program that sleeps until the answer is there. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

export interface HeldConnection {
  /** A persistent SEND, until its RECEIPT is here. */
  roundTrip(): Promise<void>;
  close(): Promise<void>;
}

/** On a socket of its own, without a STOMP client between: the least that a round trip can cost. */
export async function holdConnection(url: string): Promise<HeldConnection> {
  const { hostname, port, username, password } = new URL(url);
  const socket = connect({ host: hostname, port: Number(port), noDelay: true });
  await once(socket, 'connect');
  const login = `login:${decodeURIComponent(username)}\npasscode:${decodeURIComponent(password)}`;
  await answered(socket, `CONNECT\naccept-version:1.2\nhost:adit\nheart-beat:0,0\n${login}\n\n\0`, 'CONNECTED');
  let last = 0;
  return {
    roundTrip() {
      const receipt = `t${++last}`;
      const expires = Date.now() + 1_000;
      const headers = `destination:/queue/package/bench\npersistent:true\nexpires:${expires}\nreceipt:${receipt}`;
      return answered(socket, `SEND\n${headers}\n\nProgress: 1%\0`, `receipt-id:${receipt}\n`);
    },
    async close() {
      socket.end();
      await once(socket, 'close');
    },
  };
}

/** Writes a frame and waits until what came holds a text. */
function answered(socket: Socket, frame: string, text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    let came = '';
    const onData = (chunk: Buffer): void => {
      came += chunk.toString();
      if (came.startsWith('ERROR')) reject(new Error(came));
      if (!came.includes(text)) return;
      socket.off('data', onData);
      resolve();
    };
    socket.on('data', onData);
    socket.write(frame);
  });
}
