/** The table of dumps. */
import type { Knex } from 'knex';

export const dumps: Knex.Migration = { up, down };

async function up(knex: Knex): Promise<void> {
  await knex.schema.createTable('dumps', (table) => {
    table.text('id').primary();
    table.text('docset_id').notNullable().references('id').inTable('docsets');
    table.integer('docset_revision').notNullable();
    table.text('formats').notNullable().comment('sorted, separated by commas');
    table.text('status').notNullable();
    table.integer('attempt').notNullable();
    table.timestamp('published', { useTz: true });
    table.bigInteger('run');
    table.bigInteger('sequence');
    table.integer('progress').notNullable();
    table.text('phase');
    table.integer('remaining_seconds');
    table.timestamp('created', { useTz: true }).notNullable();
    table.timestamp('started', { useTz: true });
    table.timestamp('updated', { useTz: true }).notNullable();
    table.timestamp('finished', { useTz: true });
    table.timestamp('expires', { useTz: true });
    table.jsonb('counts').notNullable();
    table.jsonb('timeline').notNullable();
    table.jsonb('archive');
    table.jsonb('error');
    table.timestamp('storage_freed', { useTz: true });
    table.index(['docset_id', 'created']);
  });
}

async function down(knex: Knex): Promise<void> {
  await knex.schema.dropTable('dumps');
}

/** Each dump follows another of the same docset, formats and container, and no two the same: two at once cannot both be the next. */
export const dumpsFollow: Knex.Migration = {
  async up(knex) {
    await knex.raw("alter table dumps add column container text not null default 'zip', add column follows text");
    await knex.raw(
      `update dumps set follows = coalesce(earlier.id, '') from
        (select id as this, lag(id) over (partition by docset_id, formats order by created, id desc) as id from dumps) earlier
        where dumps.id = earlier.this`,
    );
    await knex.raw('alter table dumps alter column follows set not null');
    await knex.raw('create unique index dumps_follow on dumps (docset_id, formats, container, follows)');
  },
  async down(knex) {
    await knex.raw('alter table dumps drop column follows, drop column container');
  },
};
