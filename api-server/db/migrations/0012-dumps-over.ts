/** What operators ask of dumps: who packed them, and those that ended lately. */
import type { Knex } from 'knex';

export const dumpsOver: Knex.Migration = {
  async up(knex) {
    await knex.raw('alter table dumps add column if not exists packager text');
    await knex.raw('create index dumps_over on dumps (finished) where finished is not null');
  },
  async down(knex) {
    await knex.raw('drop index dumps_over');
  },
};
