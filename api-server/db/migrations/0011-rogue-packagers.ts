/** Who builds a dump, since when and with which ticket, and what was refused on the way. */
import type { Knex } from 'knex';

export const roguePackagers: Knex.Migration = {
  async up(knex) {
    for (const statement of STATEMENTS) await knex.raw(statement);
  },
  async down(knex) {
    await knex.raw(
      'alter table dumps drop column packager, drop column taken, drop column ticket_seed, drop column ticketed, drop column warnings',
    );
  },
};

const STATEMENTS = [
  // An empty seed: of a dump that an earlier version has asked for, whose packager has no ticket.
  `alter table dumps
    add column packager text,
    add column taken timestamptz,
    add column ticket_seed text not null default '',
    add column ticketed boolean not null default false,
    add column warnings jsonb not null default '[]'`,
  // Which requests were taken that were sent later than another.
  'create index dumps_taken on dumps (published) where taken is not null',
  `update dumps set taken = coalesce(started, updated) where status = 'running'`,
];
