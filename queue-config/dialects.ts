/** The brokers that are supported, and which of them answers. */
import { activemq } from './activemq/dialect.js';
import { artemis } from './artemis/dialect.js';
import { BrokerRefusedError } from './broker.js';
import type { Dialect, DialectName } from './dialect.js';
import { adit } from './embedded-broker/dialect.js';
import { rabbitmq } from './rabbitmq/dialect.js';

const DIALECTS: Readonly<Record<DialectName, Dialect>> = { adit, activemq, artemis, rabbitmq };

/**
 * The dialect for the `server` header of a CONNECTED frame, or the one that is `forced`.
 * @throws {BrokerRefusedError} for a broker whose drain nobody has proved yet: guessing would lose events silently
 */
export function dialectOf(server: string, forced?: DialectName): Dialect {
  if (forced !== undefined) return DIALECTS[forced];
  const all = Object.values(DIALECTS);
  const found = all.find(({ servers }) => servers.test(server));
  if (found !== undefined) return found;
  const known = all.map(({ name, title }) => `${title} (${name})`).join(', ');
  throw new BrokerRefusedError(
    `The broker calls itself ${JSON.stringify(server)}; supported are ${known}. BROKER_DIALECT says which one it is like.`,
  );
}
