/** `adit keys create | list | revoke` */
import { InvalidArgumentError, Option, type Command } from 'commander';
import { ROLES, type Role } from '../api-server/miners/caller.js';
import type { Database } from '../api-server/db/open-database.js';
import type * as Miners from '../api-server/miners/miners.js';

export function addKeyCommands(keys: Command): void {
  keys
    .command('create')
    .description('make a key; it is shown once and stored only as a digest')
    .requiredOption('--name <name>', 'who it is for', notEmpty)
    .option('--email <address>', 'how to reach them')
    .addOption(new Option('--role <role>', 'what it is for').choices([...ROLES]).default('miner'))
    .action(create);
  keys.command('list').description('list all keys, the revoked ones too').action(list);
  keys
    .command('revoke')
    .description('make a key useless; its docsets stay')
    .argument('<key-id>', 'the eight characters after adit_')
    .action(revoke);
}

const onMiners = async <T>(work: (miners: typeof Miners, knex: Database['knex']) => Promise<T>): Promise<T> => {
  const [{ withDatabase }, miners] = await Promise.all([
    import('./database.js'),
    import('../api-server/miners/miners.js'),
  ]);
  return withDatabase(({ knex }) => work(miners, knex));
};

async function create(options: { name: string; email?: string; role: Role }): Promise<void> {
  const { key } = await onMiners((miners, knex) => miners.createMiner(knex, options));
  process.stdout.write(`${key}\n`);
}

async function list(): Promise<void> {
  const keys = await onMiners((miners, knex) => miners.listMiners(knex));
  for (const { keyId, role, name, email, created, revoked } of keys) {
    const state = revoked === null ? 'valid' : `revoked ${revoked.toISOString()}`;
    process.stdout.write(`${[keyId, role, name, email ?? '-', created.toISOString(), state].join('\t')}\n`);
  }
}

async function revoke(keyId: string): Promise<void> {
  if (!(await onMiners((miners, knex) => miners.revokeMiner(knex, keyId)))) {
    throw new Error(`No valid key has the id ${keyId}; "adit keys list" shows them.`);
  }
  process.stdout.write(`Key ${keyId} is revoked.\n`);
}

function notEmpty(text: string): string {
  if (text.trim() === '') throw new InvalidArgumentError('It must not be empty.');
  return text.trim();
}
