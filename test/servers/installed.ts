/** Which servers are installed; no test framework is needed to ask. */
import { findActiveMQ } from './activemq.js';
import { findArtemis } from './artemis.js';
import { findChromium } from './chromium.js';
import { findElasticsearch } from './elasticsearch.js';
import { hasFaketime } from './faketime.js';
import { findOpenSearch } from './opensearch.js';
import { findPostgreSQL } from './postgresql.js';
import { findRabbitMQ } from './rabbitmq.js';
import { findRadosgw } from './radosgw.js';

const FOUND = {
  activemq: () => findActiveMQ() !== undefined,
  'activemq-debian': () => findActiveMQ('debian') !== undefined,
  chromium: () => findChromium() !== undefined,
  artemis: () => findArtemis() !== undefined,
  elasticsearch: () => findElasticsearch() !== undefined,
  faketime: hasFaketime,
  opensearch: () => findOpenSearch() !== undefined,
  postgresql: () => findPostgreSQL() !== undefined,
  rabbitmq: findRabbitMQ,
  radosgw: () => findRadosgw() !== undefined,
};

export type ServerName = keyof typeof FOUND;

export const isInstalled = (server: ServerName): boolean => FOUND[server]();
