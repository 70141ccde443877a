/**
 * A packager that does as it is told, however wrong: a program of its own on a STOMP client of another make. It is given its orders
 * by the test that has started it, and answers each.
 */
import { once } from 'node:events';
import { connect } from 'node:net';
import process from 'node:process';
import { URL } from 'node:url';
import stompit from 'stompit';

/** @typedef {{ headers: Record<string, string>, body: string }} Taken */

const { username, password, hostname, port } = new URL(process.argv[2] ?? '');

const client = await new Promise((resolve, reject) => {
  const connectHeaders = { host: '/', login: username, passcode: password, 'heart-beat': '0,0' };
  stompit.connect({ host: hostname, port: Number(port), connectHeaders }, (error, connected) =>
    error ? reject(error) : resolve(connected),
  );
});
client.on('error', () => process.exit(1));

/** Requests that it holds, and has not acknowledged. */
const held = [];

const orders = {
  /** Takes so many requests, and no more. @returns {Promise<Taken[]>} */
  take: ({ queue, count }) =>
    new Promise((resolve, reject) => {
      const taken = [];
      const headers = {
        destination: queue,
        ack: 'client-individual',
        'activemq.prefetchSize': String(count),
        'prefetch-count': String(count),
      };
      client.subscribe(headers, (error, message) => {
        if (error) {
          reject(error);
          return;
        }
        message.readString('utf8', (failure, body) => {
          if (failure) {
            reject(failure);
            return;
          }
          held.push(message);
          taken.push({ headers: message.headers, body });
          if (taken.length === count) resolve(taken);
        });
      });
    }),
  /** Sends a message as often as it is told to; resolves when the broker has confirmed the last one. */
  say: ({ headers, body, count = 1 }) =>
    count > 1
      ? flood(headers, body, count)
      : new Promise((resolve) => client.send(headers, { onReceipt: resolve }).end(body)),
  /** Acknowledges all that it holds, so that nobody is given it. */
  drop() {
    for (const message of held.splice(0)) client.ack(message);
    return new Promise((resolve) => client.disconnect(() => resolve(undefined)));
  },
};

/** On a bare socket, as fast as the broker takes it. */
async function flood(headers, body, count) {
  const socket = connect({ host: hostname, port: Number(port) });
  const frame = (command, fields, text = '') =>
    `${[command, ...Object.entries(fields).map(([name, value]) => `${name}:${value}`)].join('\n')}\n\n${text}\0`;
  let heard = '';
  socket.on('data', (chunk) => (heard = (heard + chunk.toString()).slice(-1_000)));
  const hear = async (word) => {
    while (!heard.includes(word)) await once(socket, 'data');
  };
  socket.write(frame('CONNECT', { 'accept-version': '1.2', host: '/', login: username, passcode: password }));
  await hear('CONNECTED');
  const one = frame('SEND', headers, body);
  const many = one.repeat(100);
  for (let left = count; left > 0; left -= 100) {
    const isTaken = socket.write(left >= 100 ? many : one.repeat(left));
    if (!isTaken) await once(socket, 'drain');
  }
  socket.write(frame('DISCONNECT', { receipt: 'over' }));
  await hear('receipt-id:over');
  socket.destroy();
}

process.on('message', ({ id, order, ...wanted }) => {
  orders[order](wanted).then(
    (result) => process.send?.({ id, result }),
    (error) => process.send?.({ id, error: String(error) }),
  );
});
process.on('disconnect', () => process.exit(0));
process.send?.({ ready: true });
