/** Who gets in, and what each account may do. No attempt puts a message where a packager would take it. */
import { randomUUID } from 'node:crypto';
import {
  DEAD_LETTERS,
  DELETE_REQUESTS,
  LARGE_PACKAGE_REQUESTS,
  PACKAGE_REQUESTS,
  type Destination,
} from '../../destinations.js';
import type { StompConnection } from '../../stomp-connection.js';
import { ACCOUNTS, type Account } from '../accounts.js';
import { judge, type Proof } from './proof.js';
import { isRefused, type Stage } from './stage.js';

export const logins: Proof = {
  title: 'each account gets in, and nobody else',
  remedy: '<simpleAuthenticationPlugin anonymousAccessAllowed="false"> with <authenticationUser username="…" …/>',
  async prove(stage) {
    const faults: string[] = [];
    for (const account of ACCOUNTS) {
      const address = stage.addresses[account];
      await stage.open(address).catch((error: unknown) => {
        faults.push(`${account}: ${error instanceof Error ? error.message : String(error)}`);
      });
      const passcode = randomUUID();
      if (!(await isRefused(() => stage.open({ ...address, passcode })))) faults.push(`${account} needs no passcode`);
    }
    const nobody = { ...stage.addresses.operator, login: undefined, passcode: undefined };
    if (!(await isRefused(() => stage.open(nobody)))) faults.push('anybody gets in without a login');
    return judge(faults, 'Three logins work; a wrong passcode and no login are refused.');
  },
};

const send = 'write to';
const subscribe = 'read';
type Right = readonly [Account, typeof send | typeof subscribe, Destination | 'events'];

const MAY: readonly Right[] = [
  ['api-server', send, PACKAGE_REQUESTS],
  ['api-server', send, LARGE_PACKAGE_REQUESTS],
  ['api-server', send, DELETE_REQUESTS],
  ['api-server', send, DEAD_LETTERS],
  ['api-server', send, 'events'],
  ['api-server', subscribe, 'events'],
  ['packager', subscribe, PACKAGE_REQUESTS],
  ['packager', subscribe, LARGE_PACKAGE_REQUESTS],
  ['packager', subscribe, DELETE_REQUESTS],
  ['packager', send, DEAD_LETTERS],
  ['packager', send, 'events'],
  ['operator', subscribe, DEAD_LETTERS],
];

const MAY_NOT: readonly Right[] = [
  ['api-server', subscribe, PACKAGE_REQUESTS],
  ['api-server', subscribe, LARGE_PACKAGE_REQUESTS],
  ['api-server', subscribe, DELETE_REQUESTS],
  ['api-server', subscribe, DEAD_LETTERS],
  ['packager', send, PACKAGE_REQUESTS],
  ['packager', send, LARGE_PACKAGE_REQUESTS],
  ['packager', send, DELETE_REQUESTS],
  ['packager', subscribe, 'events'],
  ['packager', subscribe, DEAD_LETTERS],
];

const proveRights = async (stage: Stage, rights: readonly Right[], wanted: 'granted' | 'refused') => {
  const faults: string[] = [];
  const events = stage.freshEvents();
  // Whoever touches it first makes it; the refusal that is wanted is the one to read or write.
  await attempt(await stage.as('api-server'), [`api-server`, send, 'events'], events);
  for (const right of rights) {
    const [account, what, queue] = right;
    const connection = await stage.as(account);
    const refused = await isRefused(() => attempt(connection, right, events));
    const name = queue === 'events' ? '/queue/package/…' : queue;
    if (refused !== (wanted === 'refused')) faults.push(`${account} ${refused ? 'cannot' : 'can'} ${what} ${name}`);
  }
  return faults;
};

/** What is written has expired already, and what is subscribed to matches no message. */
async function attempt(connection: StompConnection, [, what, queue]: Right, events: Destination): Promise<void> {
  const destination = queue === 'events' ? events : queue;
  if (what === send) return connection.send(destination, { expires: '1' }, '');
  const nothing = { ack: 'client-individual', selector: `adit_check = 'nothing'` };
  const subscription = connection.subscribe(destination, nothing, () => undefined);
  await subscription.confirmed;
  await subscription.end();
}

export const rightsGranted: Proof = {
  title: 'each account may do what it has to',
  remedy:
    '<authorizationEntry queue="package.>" read="api-servers" write="api-servers,packagers" admin="api-servers,packagers"/>…',
  prove: async (stage) => judge(await proveRights(stage, MAY, 'granted'), `${MAY.length} rights were used.`),
};

export const rightsRefused: Proof = {
  title: 'no account may do more',
  remedy: '<authorizationEntry queue="docsets.package" read="packagers" write="api-servers" admin="operators"/>…',
  prove: async (stage) =>
    judge(await proveRights(stage, MAY_NOT, 'refused'), `${MAY_NOT.length} attempts were refused.`),
};
