/** How to speak to RabbitMQ. */
import { randomUUID } from 'node:crypto';
import { DEAD_LETTERS, DELETE_REQUESTS, LARGE_PACKAGE_REQUESTS, PACKAGE_REQUESTS } from '../destinations.js';
import type { Dialect } from '../dialect.js';
import { DEAD_LETTERS_EXCHANGE, physicalName, PROGRESS_PREFIX, REQUESTS_EXCHANGE, routingKey } from './names.js';

const PERMANENT: readonly string[] = [PACKAGE_REQUESTS, LARGE_PACKAGE_REQUESTS, DELETE_REQUESTS, DEAD_LETTERS];

/** 2^32 - 1, about 49 days: a longer life is refused. The policies in the configuration beside this file cut it anyway. */
const LONGEST_LIFE = 4_294_967_295;

export const rabbitmq: Dialect = {
  name: 'rabbitmq',
  title: 'RabbitMQ',
  servers: /^RabbitMQ\//i,
  // `/queue/` makes the queue where there is none, which nobody but the operator may do with a permanent one.
  spell: (destination) => `${PERMANENT.includes(destination) ? '/amq' : ''}/queue/${physicalName(destination)}`,
  canonical: (name) => name.replace(/^\/queue\/package\.([A-Za-z0-9_-]+)$/, '/queue/package/$1'),
  // To an exchange: a SEND to a queue that is missing is confirmed, and lost.
  spellForSend(destination) {
    if (destination === DEAD_LETTERS) return `/exchange/${DEAD_LETTERS_EXCHANGE}`;
    if (!PERMANENT.includes(destination)) return rabbitmq.spell(destination);
    return `/exchange/${REQUESTS_EXCHANGE}/${routingKey(physicalName(destination))}`;
  },
  // In seconds (AMQP 0-9-1, 4.2.5.4). Statistics tell from it how old the first message is.
  sendHeaders: () => ({ timestamp: String(Math.floor(Date.now() / 1000)) }),
  // It knows only how long a message may live; readers know only when it ends.
  expiryHeaders: (expires) => ({
    expires: String(expires),
    expiration: String(Math.min(LONGEST_LIFE, Math.max(0, expires - Date.now()))),
  }),
  prefetch: (prefetch) => [{ 'prefetch-count': String(prefetch) }],
  publishesApart: true,
  drain: {
    // Twice as many as are acknowledged in one go: others' fences, which are on their way back, must not stop the rest.
    subscribeHeaders: (_fence, batch) => ({ 'prefetch-count': String(2 * batch) }),
    // One by one, since others' fences among them are not ours to acknowledge.
    ack: 'client-individual',
    leave: {
      silentQueue: () => `/queue/${PROGRESS_PREFIX}${randomUUID()}`,
      // It goes with the subscription. `client`: a NACK is of all up to the one that it names.
      subscribeHeaders: { ack: 'client', 'auto-delete': 'true' },
      // The last part is AMQP's delivery tag, and 0 is all of them (AMQP 0-9-1, basic.nack).
      everything: (ack) => ack.replace(/\d+$/, '0'),
    },
    // A message that was under way during the UNSUBSCRIBE becomes an ERROR behind its receipt.
    nowhere: '/amq/queue/adit.nowhere',
    stray: /^There is no current subscription with tag /,
    end: 'fence',
    // The configuration makes a dead letter of what is refused without it.
    giveBackHeaders: { requeue: 'true' },
  },
};
