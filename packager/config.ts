/** The packager's settings, read from the environment; all faults are reported at once (design §7). */
import ms from 'ms';
import { z } from 'zod';
import { BROKER_SETTINGS, DEFAULT_EVENT_TTL, parseBrokerUrls, type DialectName } from '../queue-config/index.js';

/** Where archives go. */
export type ArchiveStoreConfig =
  | {
      type: 's3';
      bucket: string;
      endpoint?: string | undefined;
      region: string;
      credentials?: S3Credentials | undefined;
    }
  | { type: 'folder'; folder: string };

export interface S3Credentials {
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken?: string | undefined;
}

export interface PackagerConfig {
  /** Where the api-server is reached; nobody else is ever asked, since each request carries the key. */
  apiUrl: URL;
  packagerKey: string;
  /** As `openBroker` reads it: one URL, or several separated by commas. */
  brokerUrl: string;
  /** Undefined: as the broker calls itself. */
  brokerDialect?: DialectName | undefined;
  /** PEM certificates that are trusted for the broker, beside those that Node.js trusts. */
  brokerAuthority?: string | undefined;
  archiveStore: ArchiveStoreConfig;
  /** Where the api-server keeps documents, if that is on this machine; undefined: they come over HTTP. */
  contentFolder?: string | undefined;
  /** Milliseconds that an event may stay unread. */
  eventTtl: number;
  /** Milliseconds without one byte moved, after which a job is given up. */
  stallTimeout: number;
  /** Jobs at a time. */
  concurrency: number;
  /** Jobs of large docsets at a time, beside the others. */
  largeConcurrency: number;
  /** What it is called in events and the log, before its process and a number; undefined: as its host. */
  name?: string | undefined;
  logLevel: LogLevel;
  /** Serves /healthz and /metrics; undefined: nothing does. 0 picks a free port. */
  healthPort?: number | undefined;
}

const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** The settings cannot be used; the message has one line for each fault. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  constructor(readonly faults: string[]) {
    super(
      `The packager's configuration has ${faults.length === 1 ? 'a fault' : `${faults.length} faults`}:\n${faults.map((fault) => `  ${fault}`).join('\n')}`,
    );
  }
}

const text = z.string().trim().min(1);

const duration = (fallback: number) =>
  z
    .string()
    .trim()
    .optional()
    .transform((written, context) => {
      if (written === undefined || written === '') return fallback;
      const millis = /^[1-9]\d{0,8}(ms|s|m|h|d)$/.test(written) ? ms(written as ms.StringValue) : undefined;
      if (millis !== undefined) return millis;
      context.addIssue({
        code: 'custom',
        message: `must be a duration such as 30s, 10m, 24h or 7d, not ${JSON.stringify(written)}`,
      });
      return z.NEVER;
    });

const wholeNumber = (least: number, most: number) =>
  z
    .string()
    .trim()
    .regex(/^\d{1,9}$/, `must be a whole number from ${least} to ${most}`)
    .transform(Number)
    .refine((value) => value >= least && value <= most, `must be a whole number from ${least} to ${most}`);

const httpUrl = (required: string) =>
  z
    .string(required)
    .trim()
    .transform((written, context) => {
      const url = URL.canParse(written) ? new URL(written) : undefined;
      const isBare = url?.pathname === '/' && url.search === '' && url.hash === '';
      if (isBare && (url.protocol === 'http:' || url.protocol === 'https:')) return url;
      context.addIssue({
        code: 'custom',
        message: `must be an http:// or https:// URL without a path, not ${JSON.stringify(written)}`,
      });
      return z.NEVER;
    });

const brokerUrl = z
  .string('must be set: stomp://, stomp+ssl://, ws:// or wss:// URLs, separated by commas')
  .transform((written, context) => {
    try {
      parseBrokerUrls(written);
      return written;
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      context.addIssue({ code: 'custom', message: `cannot be used: ${error.message}` });
      return z.NEVER;
    }
  });

const environment = z.object({
  API_URL: httpUrl('must be set: the URL of the api-server, such as http://localhost:3000'),
  PACKAGER_KEY: z
    .string("must be set: the packager's key to the api-server")
    .min(16, 'must have at least 16 characters, as the api-server wants it'),
  BROKER_URL: brokerUrl,
  ...BROKER_SETTINGS,
  S3_BUCKET: text.optional(),
  S3_ENDPOINT: httpUrl('').optional(),
  AWS_REGION: text.optional(),
  AWS_DEFAULT_REGION: text.optional(),
  AWS_ACCESS_KEY_ID: text.optional(),
  AWS_SECRET_ACCESS_KEY: text.optional(),
  AWS_SESSION_TOKEN: text.optional(),
  DATA_DIR: text.optional(),
  EVENT_TTL: duration(DEFAULT_EVENT_TTL),
  STALL_TIMEOUT: duration(5 * 60_000),
  PACKAGER_CONCURRENCY: wholeNumber(0, 64).default(1),
  PACKAGER_LARGE_CONCURRENCY: wholeNumber(0, 64).default(1),
  PACKAGER_NAME: z
    .string()
    .trim()
    .regex(/^[A-Za-z0-9][A-Za-z0-9.-]{0,79}$/, 'must be letters, digits, dots and hyphens, at most 80 of them')
    .optional(),
  LOG_LEVEL: z.enum(LOG_LEVELS, `must be one of ${LOG_LEVELS.join(', ')}`).default('info'),
  HEALTH_PORT: wholeNumber(0, 65_535).optional(),
});

type Environment = z.infer<typeof environment>;

/** @throws {ConfigError} naming every variable at fault and what would be right */
export function readPackagerConfig(env: Readonly<Record<string, string | undefined>>): PackagerConfig {
  // An empty variable is one that is not set: container files often write `S3_BUCKET=`.
  const set = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== undefined && value.trim() !== ''));
  const result = environment.safeParse(set);
  const faults = result.success ? [] : result.error.issues.map((issue) => `${issue.path.join('.')} ${issue.message}`);
  faults.push(...archiveStoreFaults(set));
  if (set['PACKAGER_CONCURRENCY'] === '0' && set['PACKAGER_LARGE_CONCURRENCY'] === '0') {
    faults.push(
      'PACKAGER_CONCURRENCY and PACKAGER_LARGE_CONCURRENCY must not both be 0: the packager would do nothing',
    );
  }
  if (!result.success || faults.length > 0) throw new ConfigError(faults);
  const read = result.data;
  return {
    apiUrl: read.API_URL,
    packagerKey: read.PACKAGER_KEY,
    brokerUrl: read.BROKER_URL,
    brokerDialect: read.BROKER_DIALECT,
    brokerAuthority: read.BROKER_CA,
    archiveStore: archiveStoreOf(read),
    contentFolder: read.DATA_DIR && `${withoutSlash(read.DATA_DIR)}/content`,
    eventTtl: read.EVENT_TTL,
    stallTimeout: read.STALL_TIMEOUT,
    concurrency: read.PACKAGER_CONCURRENCY,
    largeConcurrency: read.PACKAGER_LARGE_CONCURRENCY,
    name: read.PACKAGER_NAME,
    logLevel: read.LOG_LEVEL,
    healthPort: read.HEALTH_PORT,
  };
}

function archiveStoreFaults(set: Record<string, string | undefined>): string[] {
  const faults: string[] = [];
  if (set['S3_BUCKET'] === undefined && set['DATA_DIR'] === undefined) {
    faults.push('S3_BUCKET must be set, or DATA_DIR to keep archives in a folder');
  }
  if (set['S3_BUCKET'] === undefined && set['S3_ENDPOINT'] !== undefined) {
    faults.push('S3_BUCKET must be set where S3_ENDPOINT is');
  }
  if ((set['AWS_ACCESS_KEY_ID'] === undefined) !== (set['AWS_SECRET_ACCESS_KEY'] === undefined)) {
    faults.push('AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY must be set together');
  }
  return faults;
}

function archiveStoreOf(read: Environment): ArchiveStoreConfig {
  if (read.S3_BUCKET === undefined) {
    if (read.DATA_DIR === undefined) throw new ConfigError(['S3_BUCKET or DATA_DIR must be set']);
    return { type: 'folder', folder: `${withoutSlash(read.DATA_DIR)}/archives` };
  }
  const { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey } = read;
  return {
    type: 's3',
    bucket: read.S3_BUCKET,
    endpoint: read.S3_ENDPOINT?.href,
    region: read.AWS_REGION ?? read.AWS_DEFAULT_REGION ?? 'us-east-1',
    // Left out, the SDK looks for them itself: instance roles, web identity, profile files.
    credentials:
      accessKeyId !== undefined && secretAccessKey !== undefined
        ? { accessKeyId, secretAccessKey, sessionToken: read.AWS_SESSION_TOKEN }
        : undefined,
  };
}

function withoutSlash(folder: string): string {
  return folder.replace(/\/+$/, '');
}
