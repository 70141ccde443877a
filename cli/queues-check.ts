/** `adit queues check` */
import { ACCOUNTS, addressFor, brokerSettings, type Account } from '../queue-config/operations/accounts.js';
import type { BrokerAddress } from '../queue-config/broker-url.js';
import { checkQueues } from '../queue-config/operations/check/check.js';
import { print, printJson, printTable } from './miner-settings.js';

export interface CheckCommandOptions {
  /** Milliseconds. */
  eventTtl: number;
  /** Milliseconds. */
  wait: number;
  json?: boolean;
}

const SOMETHING_IS_WRONG = 2;

export async function runCheck({ eventTtl, wait, json }: CheckCommandOptions): Promise<void> {
  const addresses = Object.fromEntries(ACCOUNTS.map((account) => [account, addressFor(account, process.env)]));
  const findings = await checkQueues({
    addresses: addresses as Record<Account, BrokerAddress>,
    ceilingMs: eventTtl,
    waitMs: wait,
    ...brokerSettings(process.env),
    managementUrl: process.env['BROKER_MANAGEMENT_URL'] || undefined,
  });
  const faults = findings.filter(({ verdict }) => verdict === 'wrong');
  if (faults.length > 0) process.exitCode = SOMETHING_IS_WRONG;
  if (json === true) {
    printJson({ right: faults.length === 0, findings });
    return;
  }
  printTable(
    ['', 'what has to be so', 'what was found'],
    findings.map(({ verdict, title, found }) => [verdict, title, found]),
  );
  if (faults.length === 0) return;
  print('\nWhat mends it, in the configuration of the broker ("adit queues render" writes all of it):');
  for (const { title, found, remedy } of faults) print(`\n  ${title}: ${found}\n    ${remedy}`);
}
