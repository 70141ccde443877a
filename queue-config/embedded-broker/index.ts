/** The embedded broker: STOMP 1.2 over TCP and WebSocket, for those who run no broker of their own. */
export { startEmbeddedBroker, type EmbeddedBroker, type EmbeddedBrokerOptions } from './server.js';
export type { Limits } from './limits.js';
export type { LogEvent } from './log-event.js';
