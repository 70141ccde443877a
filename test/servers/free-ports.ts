/**
 * Free TCP ports on loopback. They lie below those that the system gives to whoever asks for any, or one of the other workers, or a
 * client, could be given a port between the look at it and the start of the server that is to have it.
 */
import { createServer } from 'node:net';

const FIRST = 20_000;
/** Each of Jest's workers has its own. */
const PER_WORKER = 1_500;
const WORKERS = 8;

const worker = (Number(process.env['JEST_WORKER_ID'] ?? WORKERS) - 1) % WORKERS;
/** Counts on: what was in use a moment ago may not be free yet. */
let turn = Math.floor(Math.random() * PER_WORKER);

/** As many ports as asked for, all different, free a moment ago. */
export async function freePorts(count: number): Promise<number[]> {
  const ports: number[] = [];
  for (let tried = 0; tried < PER_WORKER && ports.length < count; tried++) {
    const port = FIRST + PER_WORKER * worker + (turn++ % PER_WORKER);
    if (await isFree(port)) ports.push(port);
  }
  if (ports.length < count) throw new Error('no free port');
  return ports;
}

/** One free port. */
export async function freePort(): Promise<number> {
  const [port = 0] = await freePorts(1);
  return port;
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ port, host: '127.0.0.1' }, () => server.close(() => resolve(true)));
  });
}
