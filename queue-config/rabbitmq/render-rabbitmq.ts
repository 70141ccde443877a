/** The configuration of RabbitMQ, from what an operator decides: `rabbitmq.conf`, `definitions.json` and `enabled_plugins`. */
import { createHash, randomBytes } from 'node:crypto';
import { DEAD_LETTER_TTL, DEFAULT_EVENT_TTL } from '../delivery-rules.js';
import { DELETE_REQUESTS, LARGE_PACKAGE_REQUESTS, PACKAGE_REQUESTS } from '../destinations.js';
import { duration } from '../duration.js';
import {
  DEAD_LETTERS_EXCHANGE,
  DEAD_LETTERS_QUEUE,
  physicalName,
  REFUSED_EXCHANGE,
  REQUESTS_EXCHANGE,
  routingKey,
} from './names.js';

/** What an operator decides, and what only tests change. Times are milliseconds. */
export interface RabbitMQSettings {
  /** How long an event lives at the most. */
  readonly eventTtlMs: number;
  /** How long a request lives at the most: no less than REQUEST_TTL of the api-servers. */
  readonly requestTtlMs: number;
  /** How much longer than its last event a progress queue stays that nobody reads. */
  readonly idleQueueMs: number;
  /** How long a dead letter is kept. */
  readonly deadLetterMs: number;
  /** Most of the machine's memory that the broker takes before senders have to wait, in per cent. */
  readonly memoryPercent: number;
  /** What has to stay free on the disk, or senders have to wait: `4 gb`. */
  readonly disk: string;
  /** Where the files lie on the broker's machine. */
  readonly folder: string;
  readonly virtualHost: string;
  /** True where clients connect by TLS, and without it from the broker's own machine only. */
  readonly tls: boolean;
  /** Passcodes of the accounts; without one, an account cannot get in. */
  readonly passcodes: Readonly<Partial<Record<RabbitMQAccount, string>>>;
  /** Address to listen on, and the ports. */
  readonly host: string;
  readonly stompPort: number;
  readonly webSocketPort: number;
  readonly managementPort: number;
  readonly stompTlsPort: number;
  readonly webSocketTlsPort: number;
  readonly managementTlsPort: number;
}

export type RabbitMQAccount = 'api-server' | 'packager' | 'operator';

export const DEFAULT_RABBITMQ_SETTINGS: RabbitMQSettings = {
  eventTtlMs: DEFAULT_EVENT_TTL,
  requestTtlMs: DEFAULT_EVENT_TTL,
  idleQueueMs: 600_000,
  deadLetterMs: DEAD_LETTER_TTL,
  memoryPercent: 60,
  disk: '4 gb',
  folder: '/etc/rabbitmq',
  virtualHost: '/',
  tls: false,
  passcodes: {},
  host: '0.0.0.0',
  stompPort: 61613,
  webSocketPort: 15674,
  managementPort: 15672,
  stompTlsPort: 61614,
  webSocketTlsPort: 15673,
  managementTlsPort: 15671,
};

export type RabbitMQFile = 'rabbitmq.conf' | 'definitions.json' | 'enabled_plugins';

/** All files, by their names. */
export function renderRabbitMQ(settings: RabbitMQSettings): Readonly<Record<RabbitMQFile, string>> {
  return {
    'rabbitmq.conf': renderServer(settings),
    'definitions.json': `${JSON.stringify(definitionsOf(settings), null, 2)}\n`,
    enabled_plugins: '[rabbitmq_management,rabbitmq_prometheus,rabbitmq_stomp,rabbitmq_web_stomp].\n',
  };
}

/** A request that is longer under way than this is taken away from its packager. */
const LONGEST_JOB = 172_800_000;
/** How often a request is handed out again whose packager died with it. */
const DELIVERY_LIMIT = 20;
const MOST_REQUESTS = 100_000;
const MOST_EVENTS = 10_000;
const MOST_DEAD_LETTERS = 10_000;
const MEBIBYTE = 1_048_576;

function renderServer(settings: RabbitMQSettings): string {
  const { memoryPercent, disk, folder, virtualHost } = settings;
  return `# The configuration of RabbitMQ for Adit (3.10 or later), as "adit queues render --broker rabbitmq" writes it with
#   ${commandOf(settings)}
# Beside it belong definitions.json (queues, rights, policies) and enabled_plugins. Restart the broker after a change.

# Read at every start. What it says goes before what is there; what it does not name stays.
load_definitions = ${folder}/definitions.json

# Clients speak STOMP, over TCP and WebSocket, and nothing else: by AMQP a packager could delete queues.
listeners.tcp = none
${settings.tls ? renderTls(settings) : renderPlain(settings.host, settings)}
stomp.default_vhost = ${virtualHost}
stomp.implicit_connect = false
# What a packager refuses (NACK) goes to the dead letters. The stock setting hands it out again at once, and without end.
stomp.default_nack_requeue = false
# A larger frame than an ingest of events needs is refused.
web_stomp.ws_opts.max_frame_size = ${MEBIBYTE}

# A request is acknowledged when its archive is complete. The stock setting takes it away after 30 minutes.
consumer_timeout = ${LONGEST_JOB}

# Above these, senders wait. Events are bounded by the policies, so that a flood of them does not get here.
vm_memory_high_watermark.relative = ${(memoryPercent / 100).toFixed(2)}
disk_free_limit.absolute = ${disk.replace(' ', '').toUpperCase()}
# The log of the work queues: kept in memory up to this size, and on disk.
raft.wal_max_size_bytes = ${64 * MEBIBYTE}

# Statistics, which "adit queues status" and "adit queues check" ask for by HTTP (BROKER_MANAGEMENT_URL), and the page for people.
# Prometheus finds its own at port 15692.
management.rates_mode = basic
collect_statistics_interval = 5000
`;
}

function renderPlain(host: string, { stompPort, webSocketPort, managementPort }: RabbitMQSettings): string {
  return `stomp.listeners.tcp.1 = ${host}:${stompPort}
web_stomp.tcp.ip = ${host}
web_stomp.tcp.port = ${webSocketPort}
management.tcp.ip = ${host}
management.tcp.port = ${managementPort}
`;
}

function renderTls(settings: RabbitMQSettings): string {
  const { host, stompTlsPort, webSocketTlsPort, managementTlsPort, folder } = settings;
  const files = (prefix: string): string =>
    [
      `${prefix}.cacertfile = ${folder}/tls/ca.pem`,
      `${prefix}.certfile = ${folder}/tls/certificate.pem`,
      `${prefix}.keyfile = ${folder}/tls/key.pem`,
    ].join('\n');
  return `# Without TLS only from the machine itself.
${renderPlain('127.0.0.1', settings)}
# stomp+ssl://, wss:// and https://. Clients log in with a passcode, not with a certificate of their own.
${files('ssl_options')}
ssl_options.verify = verify_none
ssl_options.versions.1 = tlsv1.3
ssl_options.versions.2 = tlsv1.2
stomp.listeners.ssl.1 = ${host}:${stompTlsPort}
web_stomp.ssl.ip = ${host}
web_stomp.ssl.port = ${webSocketTlsPort}
${files('web_stomp.ssl')}
management.ssl.ip = ${host}
management.ssl.port = ${managementTlsPort}
${files('management.ssl')}
`;
}

/** RabbitMQ leaves members that it does not know alone, so the remarks stand in the file itself. */
function definitionsOf(settings: RabbitMQSettings): object {
  const { eventTtlMs, requestTtlMs, idleQueueMs, deadLetterMs, virtualHost: vhost, passcodes } = settings;
  const work = [PACKAGE_REQUESTS, LARGE_PACKAGE_REQUESTS, DELETE_REQUESTS].map(physicalName);
  const exchange = (name: string, type: string) => ({
    name,
    vhost,
    type,
    durable: true,
    auto_delete: false,
    internal: name === REFUSED_EXCHANGE,
    arguments: {},
  });
  const queue = (name: string, type: 'quorum' | 'classic') => ({
    name,
    vhost,
    durable: true,
    auto_delete: false,
    arguments: { 'x-queue-type': type },
  });
  const bind = (source: string, destination: string, key: string, bindingArguments: object = {}) => ({
    source,
    vhost,
    destination,
    destination_type: 'queue',
    routing_key: key,
    arguments: bindingArguments,
  });
  const user = (name: RabbitMQAccount, tags: string[]) => ({
    name,
    password_hash: passcodes[name] === undefined ? '' : hashOf(passcodes[name]),
    hashing_algorithm: 'rabbit_password_hashing_sha256',
    tags,
  });
  const policy = (name: string, pattern: string, priority: number, definition: object) => ({
    name,
    vhost,
    pattern,
    'apply-to': 'queues',
    priority,
    definition,
  });
  const progress = '^package\\.[A-Za-z0-9_-]+$';
  return {
    'about users': [
      'A hash is the base64 of a salt of four bytes and the SHA-256 of salt and passcode. An account whose hash is empty cannot get in:',
      'render with BROKER_API_SERVER_PASSCODE, BROKER_PACKAGER_PASSCODE and BROKER_OPERATOR_PASSCODE set.',
      'The user guest, with whom RabbitMQ comes, is not made where this file is loaded at the first start; otherwise delete it.',
    ],
    users: [user('api-server', []), user('packager', []), user('operator', ['monitoring'])],
    vhosts: [{ name: vhost }],
    'about permissions': [
      'configure: whoever touches a progress queue first makes it. Nobody but the operator can make others.',
      'write: the exchange docsets takes requests; docsets.dead takes what could not be read; amq.default, the exchange that is',
      'always there, takes events, and the fences of drains. RabbitMQ has no right for one queue behind amq.default, so a packager',
      'that means harm can write a request there; packagers ask nobody but the api-server for what a request names.',
    ],
    permissions: [
      {
        user: 'api-server',
        vhost,
        configure: progress,
        write: '^(docsets|docsets\\.dead|amq\\.default)$',
        read: progress,
      },
      {
        user: 'packager',
        vhost,
        configure: progress,
        write: '^(docsets\\.dead|amq\\.default)$',
        read: '^docsets\\.(package|package\\.large|delete)$',
      },
      {
        user: 'operator',
        vhost,
        configure: '^(package|docsets\\.check)\\..+$',
        write: '^(docsets|docsets\\.dead|amq\\.default)$',
        read: '^(package|docsets)\\..+$',
      },
    ],
    topic_permissions: [
      { user: 'api-server', vhost, exchange: 'amq.topic', write: '^$', read: '^$' },
      { user: 'packager', vhost, exchange: 'amq.topic', write: '^$', read: '^$' },
    ],
    'about queues': [
      'Work queues are quorum queues: only these count how often a message was handed out (delivery-limit), so that a request that',
      'no packager survives becomes a dead letter. Clients do not make them, so that they need no right to.',
    ],
    queues: [...work.map((name) => queue(name, 'quorum')), queue(DEAD_LETTERS_QUEUE, 'classic')],
    exchanges: [
      exchange(REQUESTS_EXCHANGE, 'direct'),
      exchange(DEAD_LETTERS_EXCHANGE, 'fanout'),
      exchange(REFUSED_EXCHANGE, 'headers'),
    ],
    'about bindings': [
      'What the broker takes off a work queue becomes a dead letter where it was refused or handed out too often. A request that',
      'is too old is simply gone: the api-server has asked again.',
    ],
    bindings: [
      ...work.map((name) => bind(REQUESTS_EXCHANGE, name, routingKey(name))),
      bind(DEAD_LETTERS_EXCHANGE, DEAD_LETTERS_QUEUE, ''),
      ...['rejected', 'delivery_limit'].map((reason) =>
        bind(REFUSED_EXCHANGE, DEAD_LETTERS_QUEUE, reason, {
          'x-match': 'any-with-x',
          'x-first-death-reason': reason,
        }),
      ),
    ],
    'about policies': [
      'Times are milliseconds. message-ttl: how long a message lives at the most, whatever its sender says.',
      'expires: when a progress queue goes that nobody has read. RabbitMQ removes it with what is on it, and does not ask when that',
      'came: so it is no shorter than the life of an event and the idle time.',
      'max-length: the oldest progress goes first (drop-head), and a request too many is refused to its sender (reject-publish).',
    ],
    policies: [
      policy('adit-progress', progress, 10, {
        'message-ttl': eventTtlMs,
        expires: eventTtlMs + idleQueueMs,
        'max-length': MOST_EVENTS,
        'max-length-bytes': 16 * MEBIBYTE,
        overflow: 'drop-head',
      }),
      policy('adit-work', '^docsets\\.(package|package\\.large|delete)$', 10, {
        'message-ttl': requestTtlMs,
        'max-length': MOST_REQUESTS,
        overflow: 'reject-publish',
        'delivery-limit': DELIVERY_LIMIT,
        'dead-letter-exchange': REFUSED_EXCHANGE,
      }),
      policy('adit-check', '^docsets\\.check\\.', 10, {
        'message-ttl': requestTtlMs,
        expires: 600_000,
        'delivery-limit': DELIVERY_LIMIT,
        'dead-letter-exchange': REFUSED_EXCHANGE,
      }),
      policy('adit-dead-letters', '^docsets\\.dead$', 10, {
        'message-ttl': deadLetterMs,
        'max-length': MOST_DEAD_LETTERS,
        'max-length-bytes': 256 * MEBIBYTE,
        overflow: 'drop-head',
      }),
    ],
  };
}

/** As `rabbit_password_hashing_sha256` does it. */
function hashOf(passcode: string): string {
  const salt = randomBytes(4);
  const hash = createHash('sha256').update(salt).update(passcode, 'utf8').digest();
  return Buffer.concat([salt, hash]).toString('base64');
}

function commandOf(settings: RabbitMQSettings): string {
  const { eventTtlMs, requestTtlMs, idleQueueMs, deadLetterMs, memoryPercent, disk, tls, virtualHost } = settings;
  return [
    `--event-ttl ${duration(eventTtlMs)} --request-ttl ${duration(requestTtlMs)} --idle-queue ${duration(idleQueueMs)}`,
    `--dead-letter ${duration(deadLetterMs)} --memory ${memoryPercent} --disk '${disk}' --vhost ${virtualHost}`,
    ...(tls ? ['--tls'] : []),
  ].join(' ');
}
