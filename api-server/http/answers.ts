/** Sends what a handler returned. */
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Request, Response } from 'express';
import type { Answer } from './route.js';
import { isDescribed, isHead } from './contract.js';

type Stream = NonNullable<Answer['stream']>;

/** Resolves when the answer is sent. A client that went away is no error. */
export async function sendAnswer(request: Request, response: Response, answer: Answer): Promise<void> {
  const { status = 200, stream } = answer;
  if (!isDescribed(response, status)) throw new Error(`openapi.yaml has no answer ${status} for this`);
  // The first part decides whether there is an answer at all: after the status is sent, an error can only cut it off.
  const started = stream === undefined || isHead(response) ? undefined : await start(stream);
  try {
    response.status(status).set({ 'Cache-Control': 'no-store', ...answer.headers });
    if (answer.json !== undefined) {
      response.json(answer.json);
    } else if (answer.bytes !== undefined) {
      response.set('Content-Length', String(Buffer.byteLength(answer.bytes)));
      response.end(answer.bytes);
    } else if (started === undefined) {
      response.end();
    } else {
      await sendParts(request, response, started.parts);
    }
  } finally {
    await started?.release();
  }
}

interface Started {
  parts: Stream;
  /** Ends the stream. Of a client that leaves before the first part is sent, nothing else does. */
  release: () => Promise<unknown>;
}

async function start(stream: Stream): Promise<Started> {
  const iterator = stream[Symbol.asyncIterator]();
  const first = await iterator.next();
  const parts = (async function* () {
    if (first.done === true) return;
    yield first.value;
    yield* { [Symbol.asyncIterator]: () => iterator };
  })();
  return { parts, release: async () => iterator.return?.() };
}

async function sendParts(request: Request, response: Response, parts: Stream): Promise<void> {
  try {
    // One part waits while one is sent: they are large, and the database should not run ahead of a slow reader.
    await pipeline(Readable.from(parts, { highWaterMark: 1 }), response);
  } catch (error) {
    if (request.socket.destroyed && isPrematureClose(error)) return;
    throw error;
  }
}

function isPrematureClose(error: unknown): boolean {
  return typeof error === 'object' && error !== null && 'code' in error && error.code === 'ERR_STREAM_PREMATURE_CLOSE';
}
