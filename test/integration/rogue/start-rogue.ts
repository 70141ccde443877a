/** Starts the packager that does as it is told, and gives it its orders. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const PROGRAM = fileURLToPath(new URL('./rogue.mjs', import.meta.url));

/** What it calls itself in its events. */
export const ROGUE = 'rogue.example.org/666/abc';

export interface TakenRequest {
  headers: Record<string, string>;
  body: string;
}

export interface Rogue {
  /** Takes so many package requests, holds them, and takes no more. */
  take(count: number): Promise<TakenRequest[]>;
  /** Sends to a queue with these headers, as often as it is told to. */
  say(destination: string, body: string, headers?: Record<string, string>, count?: number): Promise<void>;
  /** An event about a request that it has taken, with all headers of ours. */
  report(request: TakenRequest, body: string, headers?: Record<string, string>): Promise<void>;
  /** Its process ends; nobody else is given what it holds. */
  close(): Promise<void>;
}

interface Answer {
  id?: number;
  result?: unknown;
  error?: string;
}

/** @param url of the broker, with the login of packagers */
export async function startRogue(url: string): Promise<Rogue> {
  const child = fork(PROGRAM, [url], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const waiting = new Map<number, (answer: Answer) => void>();
  let orders = 0;
  let sequence = 0;
  const run = Date.now();
  await once(child, 'message');
  child.on('message', (answer: Answer) => waiting.get(answer.id ?? 0)?.(answer));
  const give = async (order: string, wanted: object = {}): Promise<unknown> => {
    const id = ++orders;
    const answered = new Promise<Answer>((resolve) => waiting.set(id, resolve));
    child.send({ id, order, ...wanted });
    const { result, error } = await answered;
    if (error !== undefined) throw new Error(error);
    return result;
  };
  const rogue: Rogue = {
    take: async (count) => (await give('take', { queue: '/queue/docsets/package', count })) as TakenRequest[],
    async say(destination, body, headers = {}, count = 1) {
      await give('say', { headers: { destination, packager: ROGUE, ...headers }, body, count });
    },
    report(request, body, headers = {}) {
      const { 'reply-to': replyTo = '', 'correlation-id': dump = '', attempt = '', ticket = '' } = request.headers;
      const own = { 'correlation-id': dump, attempt, ticket, run: String(run), sequence: String(++sequence) };
      return rogue.say(replyTo, body, { ...own, ...headers });
    },
    async close() {
      if (child.exitCode !== null) return;
      await give('drop');
      const exited = once(child, 'exit');
      child.disconnect();
      await exited;
    },
  };
  return rogue;
}
