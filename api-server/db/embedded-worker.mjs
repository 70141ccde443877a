/**
 * Worker thread that runs the embedded PostgreSQL (PGlite) and lets clients of the PostgreSQL protocol in over a Unix
 * socket. Plain JavaScript, so that it loads from the sources as well as from the build.
 *
 * PGlite has one session. Clients take turns in it: a turn lasts from a client's first message to its Sync or simple
 * Query, or, where that opened a transaction, to the end of the transaction. Were turns any shorter, two clients would
 * overwrite each other's unnamed statement.
 */
import { Buffer } from 'node:buffer';
import { chmod } from 'node:fs/promises';
import { createServer } from 'node:net';
import { parentPort, workerData } from 'node:worker_threads';
import { PGlite } from '@electric-sql/pglite';

/** @typedef {{ dataDir: string, socketPath: string }} WorkerInput */

const { dataDir, socketPath } = /** @type {WorkerInput} */ (workerData);

const STARTUP_CODES = { protocol3: 196_608, ssl: 80_877_103, gssenc: 80_877_104, cancel: 80_877_102 };
const [SYNC, QUERY, FUNCTION_CALL, TERMINATE] = ['S', 'Q', 'F', 'X'].map((letter) => letter.charCodeAt(0));

/** @type {Set<import('node:net').Socket>} */
const sockets = new Set();
/** The tail of the queue of turns. */
let turn = Promise.resolve();

const server = createServer((socket) => serve(socket));
server.listen(socketPath);
server.on('error', (error) => {
  throw error;
});
await new Promise((resolve) => server.once('listening', () => resolve(undefined)));
await chmod(socketPath, 0o600);
parentPort?.postMessage('listening');

/** Whoever connects before the files are open waits for this. @type {(database: PGlite) => void} */
let opened = () => undefined;
/** @type {Promise<PGlite>} */
const database = new Promise((resolve) => {
  opened = resolve;
});
let open = false;
let closing = false;

parentPort?.on('message', async (/** @type {'open' | 'close'} */ command) => {
  if (command === 'open') {
    // The files are opened only when the parent holds the lock on them.
    opened(await PGlite.create({ dataDir }));
    open = true;
    parentPort?.postMessage('open');
    return;
  }
  // The socket still answers, if only with silence, and that until the thread ends: one that does not would make the lock a dead
  // one, and another process would open the files while this one is still writing to them.
  closing = true;
  for (const socket of sockets) socket.destroy();
  if (open) {
    await turn;
    await (await database).close();
  }
  parentPort?.postMessage('closed');
});

/** @param {import('node:net').Socket} socket */
function serve(socket) {
  socket.on('error', () => socket.destroy());
  if (closing) return;
  sockets.add(socket);
  let started = false;
  /** Bytes that are not yet a whole message, joined only when there are enough: a message may be 64 MiB in small chunks. */
  let rest = Buffer.alloc(0);
  /** @type {Buffer[]} */
  let chunks = [];
  let missing = 1;
  /** Whole messages of this turn. @type {Buffer[]} */
  let messages = [];
  /** Ends the turn that a transaction holds open. @type {(() => void) | undefined} */
  let release;
  let work = Promise.resolve();

  socket.on('data', (chunk) => {
    chunks.push(chunk);
    missing -= chunk.length;
    if (missing > 0) return;
    rest = Buffer.concat([rest, ...chunks]);
    chunks = [];
    for (let message = nextMessage(); message !== undefined; message = nextMessage()) accept(message);
  });
  socket.on('close', () => {
    sockets.delete(socket);
    work = work.then(giveUp);
  });

  /** @returns {Buffer | undefined} */
  function nextMessage() {
    const header = started ? 5 : 4;
    const length = rest.length < header ? header : rest.readInt32BE(header - 4) + header - 4;
    missing = Math.max(1, length - rest.length);
    if (rest.length < length || rest.length < header) return undefined;
    const message = rest.subarray(0, length);
    rest = rest.subarray(length);
    return message;
  }

  /** @param {Buffer} message */
  function accept(message) {
    if (!started) {
      acceptStartup(message);
      return;
    }
    const type = message[0];
    if (type === TERMINATE) {
      socket.end();
      return;
    }
    messages.push(message);
    if (type === SYNC || type === QUERY || type === FUNCTION_CALL) enqueue();
  }

  /** @param {Buffer} message */
  function acceptStartup(message) {
    const code = message.readInt32BE(4);
    if (code === STARTUP_CODES.ssl || code === STARTUP_CODES.gssenc) {
      socket.write('N');
    } else if (code === STARTUP_CODES.protocol3) {
      started = true;
      messages.push(message);
      enqueue();
    } else {
      // A cancel request wants no answer, and there is nothing to cancel with.
      socket.end();
    }
  }

  function enqueue() {
    const batch = messages;
    messages = [];
    work = work.then(() => run(batch)).catch((/** @type {Error} */ error) => socket.destroy(error));
  }

  /** @param {Buffer[]} batch */
  async function run(batch) {
    if (socket.destroyed) return;
    release ??= await takeTurn();
    const pglite = await database;
    for (const message of batch) {
      await pglite.execProtocolRawStream(new Uint8Array(message), {
        onRawData: (data) => {
          // A copy: the memory belongs to the database and is written again.
          if (!socket.destroyed) socket.write(Buffer.from(data));
        },
      });
    }
    if (!pglite.isInTransaction()) endTurn();
  }

  /** A client that went away in the middle of a transaction wanted none of it. */
  async function giveUp() {
    if (release === undefined) return;
    await (await database).exec('ROLLBACK');
    endTurn();
  }

  function endTurn() {
    release?.();
    release = undefined;
  }
}

/** Resolves when it is the caller's turn, with the function that ends it. @returns {Promise<() => void>} */
async function takeTurn() {
  const before = turn;
  /** @type {() => void} */
  let release = () => undefined;
  turn = new Promise((resolve) => {
    release = () => resolve(undefined);
  });
  await before;
  return release;
}
