/** A consumer in a process of its own, which takes one message and keeps it: it is there to be frozen. */
import { openBroker, type Destination } from '../../queue-config/index.js';

const [urls = '', queue = ''] = process.argv.slice(2);
const consumer = openBroker({ urls }).consume(queue as Destination, { prefetch: 1 }, () => {
  process.send?.('taken');
  return new Promise(() => undefined);
});
await consumer.ready;
process.send?.('ready');
