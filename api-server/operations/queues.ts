/** How the queues are, asked of the broker when somebody wants to know, and its dead letters. Nothing is asked in between. */
import {
  BrokerRefusedError,
  BrokerUnavailableError,
  NoStatisticsError,
  openBroker,
  purge,
  readStatus,
  redrive,
  urlsFor,
  type Broker,
  type DeadLetter,
  type QueuesStatus,
} from '../../queue-config/index.js';
import type { ApiServerConfig } from '../config.js';
import { ProblemError } from '../http/problems.js';

export type BrokerAccess = Pick<
  ApiServerConfig,
  'brokerUrls' | 'brokerOperatorPasscode' | 'brokerManagementUrl' | 'brokerDialect' | 'brokerAuthority'
>;

/** @throws {ProblemError} `broker-unavailable`, `broker-refuses` */
export async function queuesBody(access: BrokerAccess): Promise<object> {
  const { brokerManagementUrl, brokerDialect, brokerAuthority } = access;
  const told = { dialect: brokerDialect, authority: brokerAuthority };
  return answered(access, async (urls) => describe(await readStatus(urls, brokerManagementUrl, told)));
}

/** @throws {ProblemError} `broker-unavailable`, `broker-refuses` */
export const redriveDeadLetters = (access: BrokerAccess): Promise<{ sent: number; kept: readonly object[] }> =>
  withBroker(access, redrive);

/** @returns how many were deleted. @throws {ProblemError} `broker-unavailable`, `broker-refuses` */
export const purgeDeadLetters = (access: BrokerAccess): Promise<number> => withBroker(access, purge);

function describe({ permanent, progress, deadLetters, strays }: QueuesStatus): object {
  return {
    queues: permanent.map(({ queue, statistics, oldest }) => ({
      queue,
      messages: statistics?.messages ?? null,
      consumers: statistics?.consumers ?? null,
      taken: statistics?.inFlight ?? null,
      oldest: oldest?.toISOString() ?? null,
    })),
    progress,
    dead_letters: deadLetters.map(describeLetter),
    strays,
  };
}

const describeLetter = ({ id, reason, from, since, expires, original }: DeadLetter): object => ({
  id,
  reason,
  from: from ?? null,
  since: since?.toISOString() ?? null,
  expires: expires?.toISOString() ?? null,
  stays_because: original.type === 'lost' ? original.why : null,
});

function withBroker<T>(access: BrokerAccess, work: (broker: Broker) => Promise<T>): Promise<T> {
  return answered(access, async (urls) => {
    const broker = openBroker({ urls, dialect: access.brokerDialect, authority: access.brokerAuthority });
    try {
      return await work(broker);
    } finally {
      await broker.close();
    }
  });
}

/** Gives the URLs of the operator's account to `ask`, and says what the broker means where it does not answer. */
async function answered<T>(access: BrokerAccess, ask: (urls: string) => Promise<T>): Promise<T> {
  try {
    return await ask(operatorUrls(access));
  } catch (cause) {
    if (cause instanceof BrokerUnavailableError) {
      const detail = 'The message broker cannot be reached: nobody knows how its queues are.';
      throw new ProblemError('broker-unavailable', detail, {}, { cause, headers: { 'Retry-After': '10' } });
    }
    // BROKER_MANAGEMENT_URL is missing, and the broker tells of its queues there only.
    if (cause instanceof RangeError) throw new ProblemError('broker-refuses', cause.message, {}, { cause });
    if (cause instanceof BrokerRefusedError || cause instanceof NoStatisticsError) {
      throw new ProblemError('broker-refuses', `${cause.message} ${remedy(access)}`, {}, { cause });
    }
    throw cause;
  }
}

const remedy = ({ brokerOperatorPasscode }: BrokerAccess): string =>
  brokerOperatorPasscode === undefined
    ? 'Set BROKER_OPERATOR_PASSCODE for the api-server: it asked with the login that it works with, which may not look at queues.'
    : 'It was asked as the account "operator": "adit queues check" says what is wrong.';

/** Without a passcode, the login in BROKER_URL: that of the embedded broker may look. */
function operatorUrls({ brokerUrls, brokerOperatorPasscode }: BrokerAccess): string {
  const BROKER_URL = brokerUrls.join(',');
  if (brokerOperatorPasscode === undefined) return BROKER_URL;
  return urlsFor('operator', { BROKER_URL, BROKER_OPERATOR_PASSCODE: brokerOperatorPasscode });
}
