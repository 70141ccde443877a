/** `adit queues check` */
import { addressesFor, brokerSettings } from '../queue-config/operations/accounts.js';
import { checkEach } from '../queue-config/operations/check/check-each.js';
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
  const addresses = addressesFor(process.env);
  const findings = await checkEach(addresses, {
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
  for (const broker of new Set(findings.map(({ address }) => address))) {
    if (addresses.length > 1) print(`${broker}\n`);
    printTable(
      ['', 'what has to be so', 'what was found'],
      findings.filter(({ address }) => address === broker).map(({ verdict, title, found }) => [verdict, title, found]),
    );
    if (addresses.length > 1) print('');
  }
  if (faults.length === 0) return;
  print('\nWhat mends it, in the configuration of the broker ("adit queues render" writes all of it):');
  for (const { address, title, found, remedy } of faults) {
    print(`\n  ${addresses.length > 1 ? `${address}: ` : ''}${title}: ${found}\n    ${remedy}`);
  }
}
