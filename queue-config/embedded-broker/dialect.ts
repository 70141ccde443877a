/** How to speak to the embedded broker, which was made for this contract. */
import type { Dialect } from '../dialect.js';

export const adit: Dialect = {
  name: 'adit',
  title: 'the embedded broker',
  servers: /^adit\//i,
  spell: (destination) => destination,
  sendHeaders: () => ({}),
  expiryHeaders: (expires) => ({ expires: String(expires) }),
  prefetch: (prefetch) => [{ 'prefetch-count': String(prefetch) }],
  drain: {
    subscribeHeaders: () => ({ 'adit-drain': 'true' }),
    ack: 'client',
    leave: 'unsubscribe',
    end: 'marker',
    isMarker: (headers) => headers['drain-end'] === 'true',
  },
};
