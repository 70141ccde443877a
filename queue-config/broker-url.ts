/**
 * Broker URLs: `stomp://`, `stomp+ssl://`, `ws://`, `wss://`, with `login:passcode@` where the broker asks for it and
 * `?vhost=name` where a broker is divided (RabbitMQ).
 */

export interface BrokerAddress {
  scheme: 'stomp' | 'stomp+ssl' | 'ws' | 'wss';
  host: string;
  port: number;
  /** The part of the broker, `/` where the URL names none. Only RabbitMQ has such parts. */
  virtualHost: string;
  /** For `ws` and `wss`: the URL without credentials and virtual host. */
  href: string;
  login?: string | undefined;
  passcode?: string | undefined;
}

const DEFAULT_PORTS = { stomp: 61613, 'stomp+ssl': 61614, ws: 80, wss: 443 } as const;

/**
 * Reads a list of URLs separated by commas; they fail over in this order.
 * @throws {RangeError} that names the URL (without its passcode) and what would be right
 */
export function parseBrokerUrls(text: string): BrokerAddress[] {
  const addresses = text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')
    .map(parseBrokerUrl);
  if (addresses.length === 0) throw new RangeError('no broker URL given: stomp://host:61613, for example');
  return addresses;
}

function parseBrokerUrl(text: string): BrokerAddress {
  const shown = text.replace(/\/\/[^@/]*@/, '//…@');
  if (!URL.canParse(text)) throw new RangeError(`${shown} is not a URL such as stomp://host:61613`);
  const url = new URL(text);
  const scheme = url.protocol.slice(0, -1);
  if (!isScheme(scheme)) throw new RangeError(`${shown} does not start with stomp://, stomp+ssl://, ws:// or wss://`);
  if (url.hostname === '') throw new RangeError(`${shown} names no host`);
  const bare = new URL(text);
  bare.username = '';
  bare.password = '';
  bare.searchParams.delete('vhost');
  return {
    scheme,
    host: url.hostname.replace(/^\[(.*)\]$/, '$1'),
    port: url.port === '' ? DEFAULT_PORTS[scheme] : Number(url.port),
    virtualHost: url.searchParams.get('vhost') ?? '/',
    href: bare.href,
    login: url.username === '' ? undefined : decodeURIComponent(url.username),
    passcode: url.username === '' ? undefined : decodeURIComponent(url.password),
  };
}

function isScheme(text: string): text is BrokerAddress['scheme'] {
  return text in DEFAULT_PORTS;
}
