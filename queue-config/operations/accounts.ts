/** The three accounts of a broker, by the variables with which its configuration and `docker/.env` name them. */
import { readAuthority } from '../authority.js';
import { parseBrokerUrls, type BrokerAddress } from '../broker-url.js';
import { DIALECT_NAMES, type DialectName } from '../dialect.js';

export const ACCOUNTS = ['api-server', 'packager', 'operator'] as const;
export type Account = (typeof ACCOUNTS)[number];

export const passcodeVariable = (account: Account): string =>
  `BROKER_${account.replace('-', '_').toUpperCase()}_PASSCODE`;

/**
 * URLs of the broker for an account: `BROKER_URL` with the account's login in place of any other.
 * @throws {Error} naming the variable that is missing
 * @throws {RangeError} BROKER_URL is none
 */
export function urlsFor(account: Account, env: Readonly<Record<string, string | undefined>>): string {
  const urls = env['BROKER_URL'];
  if (!urls) throw new Error('BROKER_URL is not set: stomp://broker:61613, for example.');
  const variable = passcodeVariable(account);
  const passcode = env[variable];
  if (!passcode) throw new Error(`${variable} is not set: the passcode of the account "${account}".`);
  parseBrokerUrls(urls);
  return urls
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')
    .map((part) => {
      const url = new URL(part);
      url.username = account;
      url.password = encodeURIComponent(passcode);
      return url.href;
    })
    .join(',');
}

/**
 * What is told of the broker beside its URL: BROKER_DIALECT and BROKER_CA.
 * @throws {RangeError} naming the one that cannot be used
 */
export function brokerSettings(env: Readonly<Record<string, string | undefined>>): {
  dialect: DialectName | undefined;
  authority: string | undefined;
} {
  const name = env['BROKER_DIALECT'] || undefined;
  const dialect = DIALECT_NAMES.find((known) => known === name);
  if (name !== undefined && dialect === undefined) {
    throw new RangeError(`BROKER_DIALECT must be one of ${DIALECT_NAMES.join(', ')}, not ${JSON.stringify(name)}.`);
  }
  const path = env['BROKER_CA'] || undefined;
  return { dialect, authority: path === undefined ? undefined : readAuthority(path) };
}

/** As `urlsFor`, each of them for all accounts. */
export function addressesFor(
  env: Readonly<Record<string, string | undefined>>,
): Readonly<Record<Account, BrokerAddress>>[] {
  const of = (account: Account): BrokerAddress[] => parseBrokerUrls(urlsFor(account, env));
  const [apiServers, packagers, operators] = [of('api-server'), of('packager'), of('operator')];
  return operators.map((operator, index) => ({
    'api-server': apiServers[index] as BrokerAddress,
    packager: packagers[index] as BrokerAddress,
    operator,
  }));
}
