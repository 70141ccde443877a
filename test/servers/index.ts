/** Real servers for tests: `describeOn('activemq', 'drain', () => { … startActiveMQ() … })`. */
import { describe, test } from '@jest/globals';
import { isInstalled, type ServerName } from './installed.js';

export * from './activemq.js';
export * from './chromium.js';
export * from './artemis.js';
export * from './certificates.js';
export * from './elasticsearch.js';
export * from './faketime.js';
export * from './free-ports.js';
export * from './installed.js';
export * from './opensearch.js';
export * from './postgresql.js';
export * from './rabbitmq.js';
export * from './radosgw.js';
export * from './run-folder.js';
export * from './search-node.js';
export * from './server-process.js';
export * from './stomp-peer.js';
export * from './tcp-proxy.js';
export * from './wait-until.js';

/**
 * A suite that needs real servers. Where one of them is not installed the suite is skipped, and its title says which command
 * installs it; with `CI=true` it fails instead.
 */
export function describeOn(servers: ServerName | readonly ServerName[], title: string, body: () => void): void {
  const wanted = typeof servers === 'string' ? [servers] : servers;
  const missing = wanted.filter((server) => !isInstalled(server));
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
