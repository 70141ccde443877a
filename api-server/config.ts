/** The api-server's configuration, from environment variables (design §7). */
import ms from 'ms';
import { z } from 'zod';
import { BROKER_SETTINGS } from '../queue-config/index.js';

/** What is wrong with the environment: all of it at once. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

const DURATION = /^(\d{1,6})(ms|s|m|h|d)$/;
const BROKER_SCHEMES = ['stomp:', 'stomp+ssl:', 'ws:', 'wss:'];
const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;

const isDuration = (text: string): boolean => DURATION.test(text) && !/^0+\D/.test(text);

const duration = (fallback: string) =>
  z
    .string()
    .default(fallback)
    .refine(isDuration, 'must be a duration such as 30s, 10m, 24h or 7d')
    .transform((text) => ms(text as ms.StringValue));

const url = (schemes: string[]) => (text: string) => {
  const scheme = URL.canParse(text) ? new URL(text).protocol : undefined;
  return scheme !== undefined && schemes.includes(scheme);
};

const count = (fallback: string) =>
  z
    .string()
    .default(fallback)
    .refine((text) => /^(unlimited|\d{1,9})$/.test(text), 'must be a whole number, or unlimited')
    .transform((text) => (text === 'unlimited' ? Infinity : Number(text)));

const flag = z.enum(['true', 'false'], 'must be true or false').default('false');

const searchUrl = z
  .string()
  .refine(url(['http:', 'https:']), 'must be a URL that starts with http:// or https://')
  .optional();

const storage = {
  S3_BUCKET: z.string().optional(),
  S3_ENDPOINT: z
    .string()
    .refine(url(['http:', 'https:']), 'must be a URL that starts with http:// or https://')
    .optional(),
  AWS_REGION: z.string().optional(),
  AWS_ACCESS_KEY_ID: z.string().optional(),
  AWS_SECRET_ACCESS_KEY: z.string().optional(),
  DATA_DIR: z.string().default('./data'),
};

type StorageVariables = z.infer<z.ZodObject<typeof storage>>;

function checkStorage(value: StorageVariables, context: z.RefinementCtx): void {
  if (value.S3_ENDPOINT !== undefined && value.S3_BUCKET === undefined) {
    context.addIssue({ code: 'custom', path: ['S3_BUCKET'], message: 'is missing: S3_ENDPOINT needs it' });
  }
  if ((value.AWS_ACCESS_KEY_ID === undefined) !== (value.AWS_SECRET_ACCESS_KEY === undefined)) {
    const missing = value.AWS_ACCESS_KEY_ID === undefined ? 'AWS_ACCESS_KEY_ID' : 'AWS_SECRET_ACCESS_KEY';
    context.addIssue({ code: 'custom', path: [missing], message: 'is missing: the two keys come together' });
  }
}

const environment = z
  .object({
    PORT: z
      .string()
      .default('3000')
      .refine((text) => /^\d{1,5}$/.test(text) && Number(text) <= 65_535, 'must be a port number from 0 to 65535')
      .transform(Number),
    HOST: z.string().default('127.0.0.1'),
    PUBLIC_URL: z
      .string()
      .refine(url(['http:', 'https:']), 'must be a URL that starts with http:// or https://')
      .refine((text) => /^[^/]+\/\/[^/?#]+\/*$/.test(text), 'must have no path: the API is at /api of its host')
      .transform((text) => text.replace(/\/+$/, ''))
      .optional(),
    DATABASE_URL: z
      .string()
      .refine(url(['postgres:', 'postgresql:']), 'must be a URL that starts with postgres://')
      .optional(),
    BROKER_URL: z
      .string('is missing: it must be stomp://host:port, stomp+ssl://, ws:// or wss://, several separated by commas')
      .transform((text) => text.split(',').map((part) => part.trim()))
      .refine((urls) => urls.every(url(BROKER_SCHEMES)), 'must be stomp://, stomp+ssl://, ws:// or wss:// URLs'),
    ...BROKER_SETTINGS,
    BROKER_OPERATOR_PASSCODE: z.string().optional(),
    BROKER_MANAGEMENT_URL: z
      .string()
      .refine(url(['http:', 'https:']), 'must be a URL that starts with http:// or https://')
      .optional(),
    SEARCH_URL: searchUrl,
    ...storage,
    PACKAGER_KEY: z
      .string('is missing: it must be the secret that packagers send, at least 16 characters')
      .min(16, 'must have at least 16 characters'),
    ARCHIVE_TTL: duration('7d'),
    DUMP_LEASE: duration('10m'),
    PACKAGING_LIMIT: duration('24h'),
    REQUEST_TTL: duration('24h'),
    LARGE_DOCSET: z
      .string()
      .default('100000')
      .refine((text) => /^(never|\d{1,9})$/.test(text), 'must be a number of documents, or never')
      .transform((text) => (text === 'never' ? Infinity : Number(text))),
    FOREIGN_PACKAGERS: z.enum(['true', 'false'], 'must be true or false').default('true'),
    QUOTA_DOCUMENTS_PER_MINUTE: count('600'),
    QUOTA_DUMPS: count('10'),
    POLL_INTERVAL: z
      .string()
      .default('1s')
      .refine((text) => text === 'off' || isDuration(text), 'must be a duration such as 1s, or off')
      .transform((text) => (text === 'off' ? 0 : ms(text as ms.StringValue))),
    LOG_LEVEL: z.enum(LOG_LEVELS, `must be one of ${LOG_LEVELS.join(', ')}`).default('info'),
    VALIDATE_RESPONSES: flag,
  })
  .superRefine(checkStorage);

export type ApiServerConfig = ReturnType<typeof readApiServerConfig>;

/**
 * Reads the configuration. An empty variable counts as unset.
 * @throws {ConfigError} naming every variable that is wrong, and what would be right
 */
export function readApiServerConfig(env: Readonly<Record<string, string | undefined>>) {
  const value = parseSet(environment, env);
  return {
    port: value.PORT,
    host: value.HOST,
    publicUrl: value.PUBLIC_URL ?? `http://localhost:${value.PORT}`,
    /** Undefined: the embedded database in `dataDir`. */
    databaseUrl: value.DATABASE_URL,
    brokerUrls: value.BROKER_URL,
    /** Undefined: as the broker calls itself. */
    brokerDialect: value.BROKER_DIALECT,
    /** PEM certificates that are trusted for the broker, beside those that Node.js trusts. */
    brokerAuthority: value.BROKER_CA,
    /** Of the account `operator`, for those who ask how the queues are. Undefined: the api-server asks as itself. */
    brokerOperatorPasscode: value.BROKER_OPERATOR_PASSCODE,
    /** Of RabbitMQ's HTTP API, for the same. */
    brokerManagementUrl: value.BROKER_MANAGEMENT_URL,
    /** Undefined: the database searches. */
    searchUrl: value.SEARCH_URL,
    /** Undefined: archives are in `dataDir`/archives. */
    s3: value.S3_BUCKET === undefined ? undefined : s3Config(value, value.S3_BUCKET),
    dataDir: value.DATA_DIR,
    packagerKey: value.PACKAGER_KEY,
    /** Milliseconds. */
    archiveTtl: value.ARCHIVE_TTL,
    /** Milliseconds. */
    dumpLease: value.DUMP_LEASE,
    /** Milliseconds. */
    packagingLimit: value.PACKAGING_LIMIT,
    /** Milliseconds. */
    requestTtl: value.REQUEST_TTL,
    /** Docsets with more documents than this wait in a queue of their own. */
    largeDocset: value.LARGE_DOCSET,
    /** Whether packagers of another make, which know no tickets, are listened to. */
    foreignPackagers: value.FOREIGN_PACKAGERS === 'true',
    /** Of miners for whom nothing else was set; Infinity: without limit. */
    quota: { documentsPerMinute: value.QUOTA_DOCUMENTS_PER_MINUTE, dumpsAtOnce: value.QUOTA_DUMPS },
    /** Milliseconds between two polls of a dump with the same key; 0: as often as they like. */
    pollInterval: value.POLL_INTERVAL,
    logLevel: value.LOG_LEVEL,
    validateResponses: value.VALIDATE_RESPONSES === 'true',
  };
}

/**
 * Where files and archives are, for operators' commands, which need nothing else.
 * @throws {ConfigError}
 */
export function readStorageConfig(env: Readonly<Record<string, string | undefined>>) {
  const value = parseSet(z.object(storage).superRefine(checkStorage), env);
  return { s3: value.S3_BUCKET === undefined ? undefined : s3Config(value, value.S3_BUCKET), dataDir: value.DATA_DIR };
}

/**
 * Where the search engine is, for operators' commands.
 * @throws {ConfigError}
 */
export function readSearchConfig(env: Readonly<Record<string, string | undefined>>) {
  const needed = z
    .string('is missing: it must be the URL of the search engine, such as http://host:9200')
    .refine(url(['http:', 'https:']), 'must be a URL that starts with http:// or https://');
  const { SEARCH_URL } = parseSet(z.object({ SEARCH_URL: needed }), env);
  return { searchUrl: SEARCH_URL };
}

function parseSet<T>(schema: z.ZodType<T>, env: Readonly<Record<string, string | undefined>>): T {
  const set = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== undefined && value !== ''));
  const result = schema.safeParse(set);
  if (result.success) return result.data;
  const faults = result.error.issues.map((issue) => `  ${issue.path.join('.')} ${issue.message}`);
  throw new ConfigError(`The configuration of the api-server is wrong:\n${faults.join('\n')}`);
}

function s3Config(value: StorageVariables, bucket: string) {
  const { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey } = value;
  return {
    bucket,
    endpoint: value.S3_ENDPOINT,
    region: value.AWS_REGION ?? 'us-east-1',
    /** Undefined: the SDK looks for them itself (instance role, profile…). */
    credentials:
      accessKeyId === undefined || secretAccessKey === undefined ? undefined : { accessKeyId, secretAccessKey },
  };
}
