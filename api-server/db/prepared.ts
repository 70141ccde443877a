/** Statements that PostgreSQL plans once for each connection, and not each time. */
import type { Knex } from 'knex';

/**
 * For what is asked at every poll and every kick-off, whose plan takes PostgreSQL longer than its work. Such a statement has few
 * wordings, and names its columns: one that selects `*` fails once a migration has added another. The embedded database, whose
 * one session outlives its connections, runs it like any other.
 */
export function prepared<Q extends Pick<Knex.ChainableInterface, 'options'>>(query: Q): Q {
  query.options(MARK);
  return query;
}

const MARK = { isPrepared: true };

interface Connection {
  query: (statement: unknown, ...more: unknown[]) => unknown;
}

/** The statements' names, the same on all connections. */
const names = new Map<string, string>();

/** Lets a new connection of the pool (one of pg's) know which statements to prepare. */
export function prepareMarked(connection: Connection): void {
  const query = connection.query.bind(connection);
  connection.query = (statement, ...more) => query(isMarked(statement) ? named(statement) : statement, ...more);
}

interface Marked {
  text: string;
}

const isMarked = (statement: unknown): statement is Marked =>
  typeof statement === 'object' && statement !== null && 'isPrepared' in statement;

function named(statement: Marked): Marked & { name: string } {
  const { text } = statement;
  const name = names.get(text) ?? `adit-${names.size + 1}`;
  names.set(text, name);
  return { ...statement, name };
}
