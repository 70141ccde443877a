/** Checks a broker at each of the addresses of a fail-over URL, one after the other. */
import { BrokerUnavailableError } from '../../broker.js';
import type { BrokerAddress } from '../../broker-url.js';
import type { Account } from '../accounts.js';
import { checkQueues, type Finding } from './check.js';
import { unproved, wrong, type Outcome } from './proof.js';
import { openStage, type CheckOptions } from './stage.js';

export interface AddressedFinding extends Finding {
  /** The address that it is of: `stomp://broker-1:61613`. */
  readonly address: string;
}

const TITLE = 'the broker accepts connections';
const REMEDY =
  'It has to be up, or to stand by, under the name in BROKER_URL; BROKER_CA names the authority of its certificate, where that is your own';

/**
 * The findings of all addresses. One that accepts no connections while another does has one finding only.
 * @param addresses in the order in which they fail over
 * @throws {BrokerUnavailableError | BrokerRefusedError} the operator cannot connect to any of them; the fault of the first
 */
export async function checkEach(
  addresses: readonly Readonly<Record<Account, BrokerAddress>>[],
  options: Omit<CheckOptions, 'addresses'>,
): Promise<AddressedFinding[]> {
  const findings: AddressedFinding[] = [];
  const failures: unknown[] = [];
  for (const accounts of addresses) {
    const { scheme, host, port } = accounts.operator;
    const address = `${scheme}://${host.includes(':') ? `[${host}]` : host}:${port}`;
    const failure = await failureOf({ ...options, addresses: accounts });
    if (failure !== undefined) {
      failures.push(failure.error);
      findings.push({ address, title: TITLE, remedy: REMEDY, ...silence(failure.error) });
      continue;
    }
    const found = await checkQueues({ ...options, addresses: accounts });
    findings.push(...found.map((finding) => ({ address, ...finding })));
  }
  if (failures.length === addresses.length) throw failures[0];
  return findings;
}

/** Why the operator cannot connect; undefined where it can. */
async function failureOf(options: CheckOptions): Promise<{ error: unknown } | undefined> {
  const stage = openStage(options);
  try {
    await stage.as('operator');
    return undefined;
  } catch (error) {
    return { error };
  } finally {
    stage.close();
  }
}

/** Of one that accepts no connections, beside one that does. A certificate or a login that is refused is a fault all the same. */
function silence(error: unknown): Outcome {
  if (error instanceof BrokerUnavailableError && isClosedPort(error.cause)) {
    return unproved('Nobody listens there: it stands by, or it is down. Check again after a fail-over.');
  }
  return wrong(`It could not be checked: ${error instanceof Error ? error.message : String(error)}`);
}

const isClosedPort = (cause: unknown): boolean =>
  typeof cause === 'object' && cause !== null && 'code' in cause && cause.code === 'ECONNREFUSED';
