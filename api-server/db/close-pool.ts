/** Closes a pool of connections in bounded time: left alone, it waits for every statement that runs. */
import { once } from 'node:events';
import { Socket, connect } from 'node:net';
import { join } from 'node:path';
import type { Knex } from 'knex';
import { within } from '../within.js';

/** One of pg's, as far as it takes to cancel what runs on it. */
export interface PooledConnection {
  host: string;
  port: number;
  processID: number;
  secretKey: number;
  once: (event: 'end', listener: () => void) => unknown;
}

/** Statements that take longer than this do not delay the end of a pool. Milliseconds. */
const CLOSE_GRACE = 2_000;

/** A server that can be reached has answered by then. */
const ANSWER_GRACE = 1_000;

const CANCEL_REQUEST = 80_877_102;

/** A new socket for a connection, in `sockets` for as long as it is open. */
export function trackedSocket(sockets: Set<Socket>): Socket {
  const socket = new Socket();
  sockets.add(socket);
  return socket.once('close', () => sockets.delete(socket));
}

/**
 * Closes the pool of `db`, all of whose connections go over `sockets`. What still runs after a while is broken off, and throws.
 * @param endStatements where the server would go on with them
 */
export async function closePool(
  db: Knex,
  sockets: ReadonlySet<Socket>,
  endStatements: () => Promise<unknown> = () => Promise.resolve(),
): Promise<void> {
  const closed = db.destroy();
  if (await within(CLOSE_GRACE, closed)) return;
  await endStatements();
  for (const socket of sockets) socket.destroy();
  await within(ANSWER_GRACE, closed);
}

/** A server notices that its client has gone only when it has something to say; and not at all while it waits for a lock. */
export async function cancel({ host, port, processID, secretKey }: PooledConnection): Promise<void> {
  const request = Buffer.alloc(16);
  [request.length, CANCEL_REQUEST, processID, secretKey].forEach((field, index) =>
    request.writeInt32BE(field, index * 4),
  );
  const socket = host.startsWith('/') ? connect(join(host, `.s.PGSQL.${port}`)) : connect(port, host);
  socket.resume().end(request);
  try {
    // "The server will process this request and then close the connection." Where it cannot be reached, there is nothing to end.
    await within(ANSWER_GRACE, once(socket, 'close')).catch(() => false);
  } finally {
    socket.destroy();
  }
}
