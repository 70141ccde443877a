/** What STOMP cannot tell of RabbitMQ: its HTTP API (the management plugin), as the operator may use it. */
import { request as requestHttp, type IncomingMessage } from 'node:http';
import { request as requestHttps } from 'node:https';
import { rootCertificates } from 'node:tls';
import type { BrokerAddress } from '../broker-url.js';
import { BrokerRefusedError, BrokerUnavailableError, type ReceivedMessage } from '../broker.js';

export interface ManagementAddress {
  /** Such as `http://rabbitmq:15672`. */
  readonly url: string;
  readonly login: string;
  readonly passcode: string;
  readonly virtualHost: string;
  /** PEM certificates that are trusted beside those that Node.js trusts. */
  readonly authority?: string | undefined;
}

/** A queue, as it was within the last five seconds. */
export interface ManagedQueue {
  readonly name: string;
  readonly type: string;
  readonly messages: number;
  readonly consumers: number;
  /** Handed out and not acknowledged. */
  readonly inFlight: number;
  readonly enqueued: number;
  readonly dequeued: number;
  /** When its first message was sent; undefined for a quorum queue, which does not tell. */
  readonly oldest: Date | undefined;
  /** What the policies make of it, such as `message-ttl`. Empty where none holds for it. */
  readonly policy: Readonly<Record<string, unknown>>;
}

export interface Management {
  /** Undefined where there is no such queue. */
  queue(name: string): Promise<ManagedQueue | undefined>;
  /** Those whose name begins with `prefix`, a page at a time. */
  queues(prefix: string, onQueues: (queues: readonly ManagedQueue[]) => void): Promise<void>;
  /** Looks at the first messages of a queue, and leaves them where they are. */
  browse(name: string, count: number): Promise<ReceivedMessage[]>;
  /** The keys under which an exchange hands on, each with its queue; undefined where there is no such exchange. */
  bindings(exchange: string): Promise<{ readonly key: string; readonly queue: string }[] | undefined>;
  /** Deletes a queue with what is on it, if it is there. */
  deleteQueue(name: string): Promise<void>;
  /** By the broker's clock, to the second. */
  now(): Promise<Date>;
  /** Alarms under which senders wait: `memory`, `disk`. */
  alarms(): Promise<string[]>;
}

/**
 * Where to ask, with the login of the broker's URL.
 * @throws {RangeError} without a URL
 */
export function managementAddress(
  { login = '', passcode = '', virtualHost }: BrokerAddress,
  url: string | undefined,
  authority?: string,
): ManagementAddress {
  if (!url) {
    throw new RangeError(
      'BROKER_MANAGEMENT_URL is not set: RabbitMQ tells of its queues by HTTP only, at http://rabbitmq:15672, for example.',
    );
  }
  return { url, login, passcode, virtualHost, authority };
}

const PATIENCE = 10_000;
const PAGE = 500;

/**
 * @throws {RangeError} the URL is none; from each call
 * @throws {BrokerUnavailableError} nobody answers
 * @throws {BrokerRefusedError} the login is refused
 */
export function openManagement(address: ManagementAddress): Management {
  const { url, virtualHost } = address;
  if (!/^https?:\/\//.test(url) || !URL.canParse(url)) {
    throw new RangeError(`${url} is not a URL such as http://rabbitmq:15672`);
  }
  const part = encodeURIComponent(virtualHost);
  const pathOf = (name: string): string => `queues/${part}/${encodeURIComponent(name)}`;
  return {
    async queue(name) {
      const { body } = await ask(address, 'GET', pathOf(name));
      return body === undefined ? undefined : readQueue(body as Answer);
    },
    async queues(prefix, onQueues) {
      const pattern = encodeURIComponent(`^${prefix.replaceAll('.', '\\.')}`);
      for (let page = 1, pages = 1; page <= pages; page++) {
        const query = `page=${page}&page_size=${PAGE}&use_regex=true&name=${pattern}&pagination=true`;
        const { body } = await ask(address, 'GET', `queues/${part}?${query}`);
        const { items, page_count: count } = body as { items: Answer[]; page_count: number };
        pages = count;
        onQueues(items.map(readQueue));
      }
    },
    async browse(name, count) {
      const wanted = { count, ackmode: 'ack_requeue_true', encoding: 'auto' };
      const { body } = await ask(address, 'POST', `${pathOf(name)}/get`, wanted);
      return ((body ?? []) as Message[]).map(readMessage);
    },
    async bindings(exchange) {
      const path = `exchanges/${part}/${encodeURIComponent(exchange)}`;
      if ((await ask(address, 'GET', path)).body === undefined) return undefined;
      const { body } = await ask(address, 'GET', `${path}/bindings/source`);
      return (body as { routing_key: string; destination: string }[]).map(({ routing_key: key, destination }) => ({
        key,
        queue: destination,
      }));
    },
    async deleteQueue(name) {
      await ask(address, 'DELETE', pathOf(name));
    },
    async now() {
      const { date } = await ask(address, 'GET', 'whoami');
      return new Date(date);
    },
    async alarms() {
      const { body } = await ask(address, 'GET', 'nodes');
      const nodes = body as { mem_alarm?: boolean; disk_free_alarm?: boolean }[];
      return [
        ...(nodes.some((node) => node.mem_alarm === true) ? ['memory'] : []),
        ...(nodes.some((node) => node.disk_free_alarm === true) ? ['disk'] : []),
      ];
    },
  };
}

interface Answer {
  name: string;
  type?: string;
  messages?: number;
  consumers?: number;
  messages_unacknowledged?: number;
  message_stats?: { publish?: number; ack?: number };
  head_message_timestamp?: number | null;
  effective_policy_definition?: Record<string, unknown> | [] | null;
}

function readQueue(answer: Answer): ManagedQueue {
  const { name, type = 'classic', messages = 0, consumers = 0, message_stats: stats } = answer;
  const policy = answer.effective_policy_definition;
  const head = answer.head_message_timestamp;
  return {
    name,
    type,
    messages,
    consumers,
    inFlight: answer.messages_unacknowledged ?? 0,
    enqueued: stats?.publish ?? 0,
    dequeued: stats?.ack ?? 0,
    oldest: head === undefined || head === null ? undefined : new Date(head * 1000),
    // Erlang writes an empty map as an empty list.
    policy: policy === undefined || policy === null || Array.isArray(policy) ? {} : policy,
  };
}

interface Message {
  payload: string;
  payload_encoding: 'string' | 'base64';
  properties: { headers?: Record<string, unknown> } & Record<string, unknown>;
}

/** With the names that the headers have in a frame. */
function readMessage({ payload, payload_encoding: encoding, properties }: Message): ReceivedMessage {
  const { headers = {}, ...others } = properties;
  const named = Object.entries(others).map(([name, value]) => [name.replaceAll('_', '-'), value]);
  const texts = [...named, ...Object.entries(headers)].filter(([, value]) => /^(string|number)$/.test(typeof value));
  const read = Object.fromEntries(texts.map(([name, value]) => [name, String(value)])) as Record<string, string>;
  return {
    // In milliseconds, as elsewhere.
    headers: read['timestamp'] === undefined ? read : { ...read, timestamp: `${read['timestamp']}000` },
    body: encoding === 'base64' ? Buffer.from(payload, 'base64').toString('utf8') : payload,
  };
}

/** @returns no body for 404 */
async function ask(
  { url, login, passcode, authority }: ManagementAddress,
  method: 'GET' | 'POST' | 'DELETE',
  path: string,
  content?: object,
): Promise<{ body: unknown; date: string }> {
  const target = new URL(`api/${path}`, url.endsWith('/') ? url : `${url}/`);
  const options = {
    method,
    auth: `${login}:${passcode}`,
    headers: { accept: 'application/json', ...(content === undefined ? {} : { 'content-type': 'application/json' }) },
    signal: AbortSignal.timeout(PATIENCE),
    ...(authority === undefined ? {} : { ca: [...rootCertificates, authority] }),
  };
  try {
    const answer = await new Promise<IncomingMessage>((resolve, reject) => {
      const request = (target.protocol === 'https:' ? requestHttps : requestHttp)(target, options, resolve);
      request.once('error', reject);
      request.end(content === undefined ? undefined : JSON.stringify(content));
    });
    const chunks: Buffer[] = [];
    for await (const chunk of answer) chunks.push(chunk as Buffer);
    const text = Buffer.concat(chunks).toString('utf8');
    const { statusCode: status = 0 } = answer;
    const date = answer.headers.date ?? '';
    if (status === 404) return { body: undefined, date };
    if (status >= 400 && status < 500) throw new BrokerRefusedError(`${url} refused ${path}: ${status} ${text}`);
    if (status === 204) return { body: null, date };
    if (status !== 200) throw new BrokerUnavailableError(`${url} answered ${status}: ${text}`);
    return { body: JSON.parse(text), date };
  } catch (error) {
    if (error instanceof BrokerRefusedError || error instanceof BrokerUnavailableError) throw error;
    throw new BrokerUnavailableError(`${url} did not answer: ${(error as Error).message}`, { cause: error });
  }
}
