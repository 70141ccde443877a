/** What operators ask of dumps: those that ended lately. */
import type { Knex } from 'knex';

export const dumpsOver: Knex.Migration = {
  async up(knex) {
    await knex.raw('create index dumps_over on dumps (finished) where finished is not null');
  },
  async down(knex) {
    await knex.raw('drop index dumps_over');
  },
};
