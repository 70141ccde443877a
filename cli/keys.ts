/** `adit keys create | list | rotate | revoke | quota` */
import { InvalidArgumentError, Option, type Command } from 'commander';
import ms from 'ms';
import { ROLES, type Role } from '../api-server/miners/caller.js';
import type { Database } from '../api-server/db/open-database.js';
import type * as Miners from '../api-server/miners/miners.js';
import { printJson, printTable } from './miner-settings.js';

/** `default`: what the server allows everybody. */
type Limit = number | 'default';

interface QuotaOptions {
  quota?: Limit;
  dumps?: Limit;
}

interface CreateOptions extends QuotaOptions {
  name?: string;
  email?: string;
  role?: Role;
  miner?: string;
  expires?: Date;
}

export function addKeyCommands(keys: Command): void {
  const create = keys
    .command('create')
    .description('make a key; it is shown once and stored only as a digest')
    .option('--name <name>', 'who it is for', notEmpty)
    .option('--email <address>', 'how to reach them')
    .addOption(new Option('--role <role>', 'what it is for (default: miner)').choices([...ROLES]))
    .addOption(
      new Option('--miner <id>', 'a further key for a miner that is there, as "list" shows it').conflicts([
        'name',
        'email',
        'role',
        'quota',
        'dumps',
      ]),
    )
    .addOption(expiry());
  for (const option of quotas()) create.addOption(option);
  create.action(async (options: CreateOptions) => {
    if (options.name === undefined && options.miner === undefined) {
      create.error("error: required option '--name <name>' not specified (or '--miner <id>')");
    }
    await make(options);
  });

  keys
    .command('list')
    .description('list all keys, those that are no longer good too')
    .option('--json', 'a JSON object a line, for programs')
    .action(list);
  keys
    .command('rotate')
    .description('make a key that takes the place of another, which stays good for a while')
    .argument('<key-id>', 'the eight characters after adit_')
    .addOption(
      new Option('--grace <duration>', 'how long the old key stays good; 0s: not at all')
        .argParser(readDuration)
        .default(ms('24h'), '24h'),
    )
    .addOption(expiry())
    .action(rotate);
  keys
    .command('revoke')
    .description('make a key useless; its docsets stay')
    .argument('<key-id>', 'the eight characters after adit_')
    .action(revoke);
  const quota = keys
    .command('quota')
    .description('change what a miner may have, with all of its keys')
    .argument('<key-id>', 'the eight characters after adit_ of one of them');
  for (const option of quotas()) quota.addOption(option);
  quota.action(async (keyId: string, options: QuotaOptions) => {
    if (options.quota === undefined && options.dumps === undefined)
      quota.error("error: '--quota' or '--dumps' is missing");
    await changeQuota(keyId, options);
  });
}

const expiry = (): Option =>
  new Option('--expires <when>', 'a date such as 2027-06-30, or a duration such as 90d (default: never)').argParser(
    readExpiry,
  );

const quotas = (): Option[] => [
  new Option('--quota <documents>', 'documents a minute: a number, unlimited, or default').argParser(readCount),
  new Option('--dumps <number>', 'dumps being made at a time: a number, unlimited, or default').argParser(readCount),
];

const onMiners = async <T>(work: (miners: typeof Miners, knex: Database['knex']) => Promise<T>): Promise<T> => {
  const [{ withDatabase }, miners] = await Promise.all([
    import('./database.js'),
    import('../api-server/miners/miners.js'),
  ]);
  return withDatabase(({ knex }) => work(miners, knex));
};

async function make({ name = '', email, role, miner, expires, ...options }: CreateOptions): Promise<void> {
  const made = await onMiners((miners, knex) =>
    miner === undefined
      ? miners.createMiner(knex, {
          name,
          email,
          ...(role && { role }),
          ...(expires && { expires }),
          quota: toQuota(options),
        })
      : miners.addKey(knex, { miner, ...(expires && { expires }) }),
  );
  if (made === undefined) throw new Error(`There is no miner ${String(miner)}; "adit keys list" shows them.`);
  process.stdout.write(`${made.key}\n`);
}

async function list({ json = false }: { json?: boolean }): Promise<void> {
  const keys = await onMiners((miners, knex) => miners.listKeys(knex));
  if (json) {
    for (const key of keys) printJson(toJson(key));
    return;
  }
  const rows = keys.map(({ id, miner, role, name, email, created, expires, state, quota }) => {
    const until = expires === null ? state : `${state}, until ${expires.toISOString()}`;
    const limits = `${describe(quota.documentsPerMinute)} a minute, ${describe(quota.dumpsAtOnce)} dumps`;
    return [id, `miner ${miner}`, role, name, email, limits, created.toISOString(), until];
  });
  printTable(['key', 'miner', 'role', 'name', 'e-mail', 'quota', 'created', 'state'], rows);
}

/** A limit is a number, `default` or `unlimited`, as the options have it. */
function toJson({ quota, ...key }: Miners.Key): object {
  const limit = (given: number | null) => (given === null || given === Infinity ? describe(given) : given);
  return {
    ...key,
    quota: { documentsPerMinute: limit(quota.documentsPerMinute), dumpsAtOnce: limit(quota.dumpsAtOnce) },
  };
}

async function rotate(id: string, { grace, expires }: { grace: number; expires?: Date }): Promise<void> {
  const made = await onMiners((miners, knex) => miners.rotateKey(knex, { id, grace, ...(expires && { expires }) }));
  if (made === undefined) throw noSuchKey(id);
  process.stdout.write(`${made.key}\n`);
  process.stderr.write(
    grace === 0
      ? `Key ${id} is revoked.\n`
      : `Key ${id} stays good until ${new Date(Date.now() + grace).toISOString()} at the latest.\n`,
  );
}

async function revoke(id: string): Promise<void> {
  if (!(await onMiners((miners, knex) => miners.revokeKey(knex, id)))) throw noSuchKey(id);
  process.stdout.write(`Key ${id} is revoked.\n`);
}

async function changeQuota(id: string, options: QuotaOptions): Promise<void> {
  if (!(await onMiners((miners, knex) => miners.changeQuota(knex, id, toQuota(options))))) {
    throw new Error(`No key has the id ${id}; "adit keys list" shows them.`);
  }
  process.stdout.write(`The quota of the miner with key ${id} is changed.\n`);
}

const noSuchKey = (id: string): Error => new Error(`No valid key has the id ${id}; "adit keys list" shows them.`);

const toQuota = ({ quota, dumps }: QuotaOptions): Partial<Miners.Quota> => ({
  ...(quota === undefined ? {} : { documentsPerMinute: ownLimit(quota) }),
  ...(dumps === undefined ? {} : { dumpsAtOnce: ownLimit(dumps) }),
});

const ownLimit = (limit: Limit): number | null => (limit === 'default' ? null : limit);

const describe = (limit: number | null): string =>
  limit === null ? 'default' : limit === Infinity ? 'unlimited' : String(limit);

function readCount(text: string): Limit {
  if (text === 'default') return text;
  if (text === 'unlimited') return Infinity;
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('It must be a whole number, unlimited, or default.');
  return Number(text);
}

/** @returns milliseconds */
function readDuration(text: string): number {
  if (!/^\d{1,6}[smhd]$/.test(text)) throw new InvalidArgumentError('It must be a duration such as 30m, 24h or 7d.');
  return ms(text as ms.StringValue);
}

function readExpiry(text: string): Date {
  const isDate = /^\d{4}-\d{2}-\d{2}(T[\d:.]+Z)?$/.test(text);
  if (isDate && Number.isNaN(Date.parse(text))) throw new InvalidArgumentError('There is no such date.');
  const expires = isDate ? new Date(text) : new Date(Date.now() + readDuration(text));
  if (expires.getTime() <= Date.now()) throw new InvalidArgumentError('It must be in the future.');
  return expires;
}

function notEmpty(text: string): string {
  if (text.trim() === '') throw new InvalidArgumentError('It must not be empty.');
  return text.trim();
}
