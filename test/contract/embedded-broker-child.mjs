/** Runs the embedded broker with the options given as JSON, until SIGTERM or the end of its parent. */
import { startEmbeddedBroker } from './embedded-broker/index.js';

const broker = await startEmbeddedBroker(JSON.parse(process.argv[2]));
console.log(JSON.stringify({ url: broker.url, webSocketUrl: broker.webSocketUrl }));
// Nothing but the broker keeps this process alive: it ends by itself once the broker has let go of everything.
process.once('SIGTERM', () => void broker.stop());
process.stdin.unref();
process.stdin.once('end', () => process.exit(1)).resume();
