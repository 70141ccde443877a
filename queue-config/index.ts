/** The contract of both sides: destinations, messages, delivery rules, and the broker port. */
export * from './broker.js';
export * from './delivery-rules.js';
export * from './containers.js';
export * from './destinations.js';
export * from './manifest.js';
export type { DialectName } from './dialect.js';
export { openBroker, type BrokerOptions, type RecognisedBroker } from './stomp-broker.js';
export { BROKER_SETTINGS } from './broker-settings.js';
export { parseBrokerUrls } from './broker-url.js';
export * from './messages.js';
export { urlsFor } from './operations/accounts.js';
export { purge, redrive, type DeadLetter } from './operations/dead-letters.js';
export { NoStatisticsError } from './operations/statistics.js';
export { readStatus, type QueuesStatus } from './operations/status.js';
