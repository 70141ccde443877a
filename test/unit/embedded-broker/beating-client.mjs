/** A client that subscribes and beats until it is frozen: `node beating-client.mjs <port> <destination>`. */
import { connect } from 'node:net';
import { setInterval } from 'node:timers';

const [, , port, destination] = process.argv;
const socket = connect({ host: '127.0.0.1', port: Number(port) });
socket.write('CONNECT\naccept-version:1.2\nhost:x\nheart-beat:500,0\n\n\0');
socket.write(`SUBSCRIBE\nid:1\nack:client-individual\ndestination:${destination}\n\n\0`);
setInterval(() => socket.write('\n'), 50);
socket.on('close', () => process.exit(0));
