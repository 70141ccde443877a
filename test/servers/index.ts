/** Real servers for tests: `describeOn('activemq', 'drain', () => { … startActiveMQ() … })`. */
import { describe, test } from '@jest/globals';
import { findActiveMQ } from './activemq.js';
import { findChromium } from './chromium.js';
import { findArtemis } from './artemis.js';
import { findOpenSearch } from './opensearch.js';
import { findPostgreSQL } from './postgresql.js';
import { findRabbitMQ } from './rabbitmq.js';
import { findRadosgw } from './radosgw.js';

export * from './activemq.js';
export * from './chromium.js';
export * from './artemis.js';
export * from './certificates.js';
export * from './free-ports.js';
export * from './opensearch.js';
export * from './postgresql.js';
export * from './rabbitmq.js';
export * from './radosgw.js';
export * from './run-folder.js';
export * from './server-process.js';
export * from './stomp-peer.js';
export * from './tcp-proxy.js';
export * from './wait-until.js';

const FOUND = {
  activemq: () => findActiveMQ() !== undefined,
  'activemq-debian': () => findActiveMQ('debian') !== undefined,
  chromium: () => findChromium() !== undefined,
  artemis: () => findArtemis() !== undefined,
  opensearch: () => findOpenSearch() !== undefined,
  postgresql: () => findPostgreSQL() !== undefined,
  rabbitmq: findRabbitMQ,
  radosgw: () => findRadosgw() !== undefined,
};

export type ServerName = keyof typeof FOUND;

/**
 * A suite that needs real servers. Where one of them is not installed the suite is skipped, and its title says which command
 * installs it; with `CI=true` it fails instead.
 */
export function describeOn(servers: ServerName | readonly ServerName[], title: string, body: () => void): void {
  const wanted = typeof servers === 'string' ? [servers] : servers;
  const missing = wanted.filter((server) => !FOUND[server]());
  if (missing.length === 0) {
    describe(title, body);
    return;
  }
  const remedy = `needs ${missing.join(' and ')}: test/servers/install.sh ${missing.join(' ')}`;
  if (process.env['CI'] === 'true') {
    describe(title, () => {
      test(`has its servers (${remedy})`, () => {
        throw new Error(remedy);
      });
    });
    return;
  }
  describe.skip(`${title} (${remedy})`, body);
}
