/** What the contract's queues are called on RabbitMQ, for the dialect, the configuration and the operators' commands alike. */

/** Requests go to this exchange, so that none is lost in silence where the queues have not been made. */
export const REQUESTS_EXCHANGE = 'docsets';
/** What could not be read goes to this exchange. */
export const DEAD_LETTERS_EXCHANGE = 'docsets.dead';
/** What the broker takes away from a queue goes here, and on to the dead letters where it was not merely too old. */
export const REFUSED_EXCHANGE = 'docsets.refused';
export const DEAD_LETTERS_QUEUE = 'docsets.dead';
/** Names below it are what `adit queues check` tries things on. */
export const CHECK_PREFIX = 'docsets.check.';
export const PROGRESS_PREFIX = 'package.';

/** `docsets.package` for `/queue/docsets/package`: a second slash is refused, and a dot is no separator here. */
export const physicalName = (destination: string): string => destination.replace(/^\/queue\//, '').replaceAll('/', '.');

/** The key of a request's queue at the exchange for requests: `package.large` for `docsets.package.large`. */
export const routingKey = (queue: string): string => queue.replace(/^docsets\./, '');
