/** A drainer in a process of its own: drains the queue in its second argument again and again until its input says something. */
import { openBroker, type Destination } from '../../queue-config/index.js';

const [urls = '', queue = ''] = process.argv.slice(2);
const broker = openBroker({ urls });
let isOver = false;
process.stdin.once('data', () => (isOver = true));
const print = (line: string): void => void process.stdout.write(`${line}\n`);
print('ready');
const isRunning = (): boolean => !isOver;
while (isRunning()) {
  await broker.drain(queue as Destination, (batch) => {
    for (const { body } of batch) print(body);
    return Promise.resolve();
  });
}
await broker.close();
process.stdin.destroy();
