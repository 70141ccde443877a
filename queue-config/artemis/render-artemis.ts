/** The configuration of ActiveMQ Artemis: `broker.xml`, and the files of its accounts, from what an operator decides. */
import { pbkdf2Sync, randomBytes } from 'node:crypto';
import { DEAD_LETTER_TTL, DEFAULT_EVENT_TTL } from '../delivery-rules.js';
import { duration } from '../duration.js';
import type { Account } from '../operations/accounts.js';

/** What an operator decides, and two times that only tests change. Times are milliseconds. */
export interface ArtemisSettings {
  /** How long an event lives at the most. */
  readonly eventTtlMs: number;
  /** How long a request lives at the most: no less than REQUEST_TTL of the api-servers. */
  readonly requestTtlMs: number;
  /** How long an empty progress queue stays. */
  readonly idleQueueMs: number;
  /** How long a dead letter is kept. */
  readonly deadLetterMs: number;
  /** Most that messages may take of the heap, in per cent; beyond it they go to disk. */
  readonly memoryPercent: number;
  /** Most that the messages of one queue may take on disk beyond the memory: `4 gb`. */
  readonly disk: string;
  /** True: there is a port with TLS, and the one without is for the broker's own machine only. */
  readonly tls: boolean;
  /** Which of two brokers on one journal it is: one serves, and the other waits for its locks. Undefined: there is one broker. */
  readonly pair?: 'primary' | 'backup' | undefined;
  /** How often idle queues are looked for. */
  readonly sweepMs: number;
  /** How often expired messages are looked for. */
  readonly expiryMs: number;
}

export const DEFAULT_ARTEMIS_SETTINGS: ArtemisSettings = {
  eventTtlMs: DEFAULT_EVENT_TTL,
  requestTtlMs: DEFAULT_EVENT_TTL,
  idleQueueMs: 600_000,
  deadLetterMs: DEAD_LETTER_TTL,
  memoryPercent: 60,
  disk: '4 gb',
  tls: false,
  sweepMs: 30_000,
  expiryMs: 30_000,
};

const ACCEPTOR = [
  'protocols=STOMP',
  // `/queue/package/5` is the anycast queue `package/5`.
  'anycastPrefix=/queue/',
  // The domain of login.config.
  'securityDomain=activemq',
  // A WebSocket frame of a message of 1 MiB with its headers.
  'stompMaxFramePayloadLength=1114112',
  'connectionsAllowed=2000',
  // Nobody is waited for that promised no heart-beat and says nothing for a minute.
  'connectionTtl=60000',
];
const TLS = [
  'sslEnabled=true',
  'keyStorePath=${BROKER_KEYSTORE}',
  'keyStoreType=PKCS12',
  'keyStorePassword=${BROKER_KEYSTORE_PASSWORD}',
  'enabledProtocols=TLSv1.2,TLSv1.3',
];
const TLS_ACCEPTOR = `      <acceptor name="stomps">tcp://\${BROKER_TLS_HOST:0.0.0.0}:\${BROKER_TLS_PORT:61614}?${[...ACCEPTOR, ...TLS].join(';')}</acceptor>
`;
const TLS_VARIABLES = `    BROKER_TLS_HOST, BROKER_TLS_PORT  the same with TLS
    BROKER_KEYSTORE            file with the certificate and its key, PKCS 12; BROKER_KEYSTORE_PASSWORD opens it
`;

/** Whoever serves goes on doing so when the other one comes back: each change is an interruption. */
const HA_POLICIES = {
  primary: '<primary><failover-on-shutdown>true</failover-on-shutdown></primary>',
  backup:
    '<backup><failover-on-shutdown>true</failover-on-shutdown><allow-failback>false</allow-failback><restart-backup>true</restart-backup></backup>',
};

const haPolicy = (
  pair: keyof typeof HA_POLICIES,
): string => `    <!-- One of two brokers on one folder, whose file system has locks that work over the network. Clients know the addresses of
         both; the one that waits listens on none. Who serves goes on doing so when the other comes back. -->
    <ha-policy>
      <shared-store>
        ${HA_POLICIES[pair]}
      </shared-store>
    </ha-policy>

`;

/** `broker.xml`. */
function renderArtemis(settings: ArtemisSettings): string {
  const { eventTtlMs, requestTtlMs, idleQueueMs, deadLetterMs, memoryPercent, disk, tls, pair, sweepMs, expiryMs } =
    settings;
  // Options without their hyphens, two of which would end a comment.
  const command = [
    `event-ttl ${duration(eventTtlMs)}, request-ttl ${duration(requestTtlMs)}, idle-queue ${duration(idleQueueMs)},`,
    `dead-letter ${duration(deadLetterMs)}, memory ${memoryPercent}, disk ${disk}${tls ? ', tls' : ''}${pair === undefined ? '' : `, pair ${pair}`}.`,
  ].join(' ');
  return `<?xml version="1.0" encoding="UTF-8"?>
<!--
  The configuration of ActiveMQ Artemis for Adit (2.55), as \`adit queues render\` writes it with
    ${command}

  It goes into the folder etc of an instance, with the three other files that \`adit queues render\` writes: artemis-users.properties,
  artemis-roles.properties, login.config. \${NAME} is a Java system property or, where there is none, an environment variable:
    data.dir                   folder of the journal
    BROKER_HOST                address to listen on
    BROKER_STOMP_PORT          port of STOMP, over TCP and over WebSocket: the broker tells them apart
${tls ? TLS_VARIABLES : ''}  Times are milliseconds.
-->
<configuration xmlns="urn:activemq">
  <core xmlns="urn:activemq:core">
    <name>adit</name>
    <persistence-enabled>true</persistence-enabled>
    <journal-type>NIO</journal-type>
    <bindings-directory>\${data.dir:data}/bindings</bindings-directory>
    <journal-directory>\${data.dir:data}/journal</journal-directory>
    <large-messages-directory>\${data.dir:data}/large-messages</large-messages-directory>
    <paging-directory>\${data.dir:data}/paging</paging-directory>
    <journal-datasync>true</journal-datasync>
    <journal-min-files>2</journal-min-files>
    <journal-pool-files>10</journal-pool-files>
    <journal-file-size>10M</journal-file-size>
    <!-- A receipt says that the message is on the disk; more of them are written at a time for no longer than this, in nanoseconds. -->
    <journal-buffer-timeout>500000</journal-buffer-timeout>
    <security-enabled>true</security-enabled>
    <!-- Who it was is on every message. -->
    <populate-validated-user>true</populate-validated-user>
    <jmx-management-enabled>false</jmx-management-enabled>

${pair === undefined ? '' : haPolicy(pair)}    <!-- Messages beyond this go to disk: nobody who sends is made to wait, or a drain could not send its fence. Each queue has a
         limit there, beyond which a message is refused (page-full-policy), so that the disk is never full because of one. -->
    <global-max-size-percent-of-jvm-max-memory>${memoryPercent}</global-max-size-percent-of-jvm-max-memory>
    <!-- The last resort, in per cent of the disk: all senders wait until there is room again. -->
    <max-disk-usage>95</max-disk-usage>

    <!-- How often expired messages and idle queues are looked for. -->
    <message-expiry-scan-period>${expiryMs}</message-expiry-scan-period>
    <address-queue-scan-period>${sweepMs}</address-queue-scan-period>

    <acceptors>
      <acceptor name="stomp">tcp://\${BROKER_HOST:${tls ? '127.0.0.1' : '0.0.0.0'}}:\${BROKER_STOMP_PORT:61613}?${ACCEPTOR.join(';')}</acceptor>
${tls ? TLS_ACCEPTOR : ''}    </acceptors>

    <!-- A slash separates the words of a name, so that \`package/#\` is every progress queue. Nobody subscribes to more than one queue. -->
    <wildcard-addresses>
      <routing-enabled>false</routing-enabled>
      <delimiter>/</delimiter>
      <any-words>#</any-words>
      <single-word>*</single-word>
    </wildcard-addresses>

    <!-- Rights do not add up: the setting with the narrowest name holds alone. The broker itself makes and deletes queues with the
         rights of whoever touches them. -->
    <security-settings>
      <security-setting match="#">
${permissions({ send: 'operators', consume: 'operators', browse: 'operators', manage: 'operators', make: 'operators' })}
      </security-setting>
      <security-setting match="docsets/package">
${permissions({ send: 'operators,api-servers', consume: 'operators,packagers', browse: 'operators', manage: 'operators' })}
      </security-setting>
      <security-setting match="docsets/package/large">
${permissions({ send: 'operators,api-servers', consume: 'operators,packagers', browse: 'operators', manage: 'operators' })}
      </security-setting>
      <security-setting match="docsets/delete">
${permissions({ send: 'operators,api-servers', consume: 'operators,packagers', browse: 'operators', manage: 'operators' })}
      </security-setting>
      <security-setting match="docsets/dead">
${permissions({ send: 'operators,api-servers,packagers', consume: 'operators', browse: 'operators', manage: 'operators' })}
      </security-setting>
      <!-- Whoever touches a progress queue first creates it. The api-server writes its drain's fence, no more. -->
      <security-setting match="package/#">
${permissions({
  send: 'operators,api-servers,packagers',
  consume: 'operators,api-servers',
  browse: 'operators',
  manage: 'operators',
  make: 'operators,api-servers,packagers',
})}
      </security-setting>
    </security-settings>

    <!-- Of these, what a narrower name says goes before what a wider one says. No expiry-address anywhere: what expires is gone. -->
    <address-settings>
      <address-setting match="#">
        <auto-create-addresses>false</auto-create-addresses>
        <auto-create-queues>false</auto-create-queues>
        <auto-delete-addresses>false</auto-delete-addresses>
        <auto-delete-queues>false</auto-delete-queues>
        <default-address-routing-type>ANYCAST</default-address-routing-type>
        <default-queue-routing-type>ANYCAST</default-queue-routing-type>
        <address-full-policy>PAGE</address-full-policy>
        <page-size-bytes>1M</page-size-bytes>
        <page-limit-bytes>${disk.replaceAll(' ', '').toUpperCase()}</page-limit-bytes>
        <page-full-policy>FAIL</page-full-policy>
      </address-setting>
      <!-- Progress queues. No message lives longer than max-expiry-delay, whatever its sender says or leaves out; with an
           expiry-delay beside it, one that asks for more would get it. A drain that breaks
           off gives back what it had for as often as it takes (-1). One drain at a time (exclusive). The empty queue goes, also
           where nobody has ever read from it (skip-usage-check). There may be very many, each of few messages: with the buffer of 8192
           entries that a queue has otherwise, each would take 32 KiB more. -->
      <address-setting match="package/#">
        <max-expiry-delay>${eventTtlMs}</max-expiry-delay>
        <max-delivery-attempts>-1</max-delivery-attempts>
        <default-exclusive-queue>true</default-exclusive-queue>
        <auto-create-addresses>true</auto-create-addresses>
        <auto-create-queues>true</auto-create-queues>
        <auto-delete-queues>true</auto-delete-queues>
        <auto-delete-queues-delay>${idleQueueMs}</auto-delete-queues-delay>
        <auto-delete-queues-message-count>0</auto-delete-queues-message-count>
        <auto-delete-queues-skip-usage-check>true</auto-delete-queues-skip-usage-check>
        <auto-delete-addresses>true</auto-delete-addresses>
        <auto-delete-addresses-delay>0</auto-delete-addresses-delay>
        <initial-queue-buffer-size>16</initial-queue-buffer-size>
        <auto-delete-addresses-skip-usage-check>true</auto-delete-addresses-skip-usage-check>
      </address-setting>
      <!-- Work queues. A request on which packagers die is a dead letter after ten of them; Adit gives it up earlier. -->
      <address-setting match="docsets/#">
        <dead-letter-address>docsets/dead</dead-letter-address>
        <max-delivery-attempts>10</max-delivery-attempts>
        <max-expiry-delay>${requestTtlMs}</max-expiry-delay>
      </address-setting>
      <!-- Dead letters end here: they expire, and are never dead letters themselves. -->
      <address-setting match="docsets/dead">
        <dead-letter-address/>
        <max-delivery-attempts>-1</max-delivery-attempts>
        <max-expiry-delay>${deadLetterMs}</max-expiry-delay>
      </address-setting>
      <!-- \`adit queues check\` tries here what the work queues do, without disturbing them, and takes the broker's answers here. -->
      <address-setting match="docsets/check/#">
        <auto-create-addresses>true</auto-create-addresses>
        <auto-create-queues>true</auto-create-queues>
        <auto-delete-queues>true</auto-delete-queues>
        <auto-delete-queues-delay>${idleQueueMs}</auto-delete-queues-delay>
        <auto-delete-queues-skip-usage-check>true</auto-delete-queues-skip-usage-check>
        <auto-delete-addresses>true</auto-delete-addresses>
        <auto-delete-addresses-skip-usage-check>true</auto-delete-addresses-skip-usage-check>
      </address-setting>
    </address-settings>

    <!-- Made at the start, so that neither side needs the right to create them. -->
    <addresses>
      <address name="docsets/package"><anycast><queue name="docsets/package"/></anycast></address>
      <address name="docsets/package/large"><anycast><queue name="docsets/package/large"/></anycast></address>
      <address name="docsets/delete"><anycast><queue name="docsets/delete"/></anycast></address>
      <address name="docsets/dead"><anycast><queue name="docsets/dead"/></anycast></address>
    </addresses>
  </core>
</configuration>
`;
}

interface Rights {
  readonly send: string;
  readonly consume: string;
  readonly browse: string;
  readonly manage: string;
  /** Who makes addresses and queues, and with whose rights they go again; undefined: nobody but the operators. */
  readonly make?: string;
}

const MAKING = ['createAddress', 'createDurableQueue', 'createNonDurableQueue'];
const UNMAKING = ['deleteAddress', 'deleteDurableQueue', 'deleteNonDurableQueue'];

function permissions({ make = 'operators', ...rights }: Rights): string {
  return [
    ...Object.entries(rights),
    ...MAKING.map((type) => [type, make]),
    ...UNMAKING.map((type) => [type, 'operators']),
  ]
    .map(([type, roles]) => `        <permission type="${type ?? ''}" roles="${roles ?? ''}"/>`)
    .join('\n');
}

/** `artemis-roles.properties`: which account has which role of broker.xml. */
const ROLES = `# The roles of broker.xml, and the account of each.
api-servers = api-server
packagers = packager
operators = operator
`;

/** `login.config`: accounts are in two files, and nobody else gets in. */
const LOGIN = `activemq {
  org.apache.activemq.artemis.spi.core.security.jaas.PropertiesLoginModule required
    reload=true
    org.apache.activemq.jaas.properties.user="artemis-users.properties"
    org.apache.activemq.jaas.properties.role="artemis-roles.properties";
};
`;

const ITERATIONS = 1024;
const SALT_BYTES = 32;
const DIGEST_BYTES = 64;

/**
 * `artemis-users.properties`: the digests of the passcodes, as Artemis makes them. An account without a passcode is left out, and so
 * does not get in.
 */
function renderUsers(passcodes: Readonly<Partial<Record<Account, string>>>): string {
  const lines = Object.entries(passcodes).map(([account, passcode]) => {
    const salt = randomBytes(SALT_BYTES);
    const digest = pbkdf2Sync(passcode, salt, ITERATIONS, DIGEST_BYTES, 'sha1');
    return `${account} = ENC(${ITERATIONS}:${salt.toString('hex')}:${digest.toString('hex')})\n`;
  });
  return `# The accounts of broker.xml. No passcode is here: only what is made of it (PBKDF2 with HMAC-SHA1).\n${lines.join('')}`;
}

/** All that an instance needs in its folder etc. */
export function renderArtemisFiles(
  settings: ArtemisSettings,
  passcodes: Readonly<Partial<Record<Account, string>>>,
): Readonly<Record<(typeof ARTEMIS_FILES)[number], string>> {
  return {
    'broker.xml': renderArtemis(settings),
    'artemis-users.properties': renderUsers(passcodes),
    'artemis-roles.properties': ROLES,
    'login.config': LOGIN,
  };
}

export const ARTEMIS_FILES = [
  'broker.xml',
  'artemis-users.properties',
  'artemis-roles.properties',
  'login.config',
] as const;
