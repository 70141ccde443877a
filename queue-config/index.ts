/** The contract of both sides: destinations, messages, delivery rules, and the broker port. */
export * from './broker.js';
export * from './delivery-rules.js';
export * from './containers.js';
export * from './destinations.js';
export * from './manifest.js';
export { openBroker, type BrokerOptions } from './stomp-broker.js';
export { parseBrokerUrls } from './broker-url.js';
export * from './messages.js';
