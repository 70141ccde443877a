/** The configuration of ActiveMQ Classic, `activemq.xml`, from what an operator decides. */
import { DEAD_LETTER_TTL, DEFAULT_EVENT_TTL } from '../delivery-rules.js';
import { duration } from '../duration.js';

/** What an operator decides, and three times that only tests change. Times are milliseconds. */
export interface ActiveMQSettings {
  /** How long an event lives at the most. */
  readonly eventTtlMs: number;
  /** How long a request lives at the most: no less than REQUEST_TTL of the api-servers. */
  readonly requestTtlMs: number;
  /** How long an empty progress queue stays. */
  readonly idleQueueMs: number;
  /** How long a dead letter is kept. */
  readonly deadLetterMs: number;
  /** Most that messages may take of the heap, in per cent. */
  readonly memoryPercent: number;
  /** Most that the journal may take on disk, as ActiveMQ spells it: `4 gb`. */
  readonly disk: string;
  /** True: there are ports with TLS, and those without are for the broker's own machine only. */
  readonly tls: boolean;
  /** How often idle queues are looked for. */
  readonly sweepMs: number;
  /** How often expired messages are looked for. */
  readonly expiryMs: number;
}

export const DEFAULT_ACTIVEMQ_SETTINGS: ActiveMQSettings = {
  eventTtlMs: DEFAULT_EVENT_TTL,
  requestTtlMs: DEFAULT_EVENT_TTL,
  idleQueueMs: 600_000,
  deadLetterMs: DEAD_LETTER_TTL,
  memoryPercent: 60,
  disk: '4 gb',
  tls: false,
  sweepMs: 60_000,
  expiryMs: 30_000,
};

const STOMP_OPTIONS =
  'maximumConnections=2000&amp;wireFormat.maxDataLength=1048576&amp;transport.tcpNoDelay=true&amp;transport.soTimeout=0';
const WS_OPTIONS =
  'maximumConnections=2000&amp;wireFormat.maxDataLength=1048576&amp;websocket.maxTextMessageSize=1048576&amp;websocket.maxBinaryMessageSize=1048576';

const TLS_VARIABLES = `    BROKER_TLS_HOST                    address to listen on with TLS
    BROKER_TLS_PORT, BROKER_WSS_PORT   ports to listen on with TLS
    BROKER_WSS_SCHEME                  \`wss\`; \`stomp+ssl\` where the build has no WebSocket transport (Debian's)
    BROKER_KEYSTORE                    file with the certificate and its key, PKCS 12
    BROKER_KEYSTORE_PASSWORD           opens it
`;
const SSL_CONTEXT = `    <sslContext>
      <sslContext keyStore="file:\${BROKER_KEYSTORE}" keyStoreType="PKCS12" keyStorePassword="\${BROKER_KEYSTORE_PASSWORD}"/>
    </sslContext>

`;
const TLS_CONNECTORS = `      <transportConnector name="stomps"
        uri="stomp+ssl://\${BROKER_TLS_HOST:0.0.0.0}:\${BROKER_TLS_PORT:61612}?${STOMP_OPTIONS}&amp;transport.enabledProtocols=TLSv1.2,TLSv1.3"/>
      <transportConnector name="wss"
        uri="\${BROKER_WSS_SCHEME:wss}://\${BROKER_TLS_HOST:0.0.0.0}:\${BROKER_WSS_PORT:61615}?${WS_OPTIONS}"/>
`;

/** The whole file. ActiveMQ has one ceiling for all queues, so it is the longer of the two lives. */
export function renderActiveMQ(settings: ActiveMQSettings): string {
  const { eventTtlMs, requestTtlMs, idleQueueMs, deadLetterMs, memoryPercent, disk, tls, sweepMs, expiryMs } = settings;
  const ceiling = Math.max(eventTtlMs, requestTtlMs);
  // Options without their hyphens, two of which would end a comment.
  const command = [
    `event-ttl ${duration(eventTtlMs)}, request-ttl ${duration(requestTtlMs)}, idle-queue ${duration(idleQueueMs)},`,
    `dead-letter ${duration(deadLetterMs)}, memory ${memoryPercent}, disk ${disk}${tls ? ', tls' : ''}.`,
  ].join(' ');
  const host = tls ? '127.0.0.1' : '0.0.0.0';
  const deadLetters = `<deadLetterStrategy>
              <sharedDeadLetterStrategy processExpired="false" processNonPersistent="true" expiration="${deadLetterMs}">
                <deadLetterQueue>
                  <queue physicalName="docsets.dead"/>
                </deadLetterQueue>
              </sharedDeadLetterStrategy>
            </deadLetterStrategy>`;
  return `<?xml version="1.0" encoding="UTF-8"?>
<!--
  The configuration of ActiveMQ Classic for Adit (5.17 to 6.1), as \`adit queues render\` writes it with
    ${command}

  \${NAME} is a Java system property or, where there is none, an environment variable:
    activemq.data                      folder of the journal; set by ActiveMQ's own start script
    BROKER_API_SERVER_PASSCODE         passcode of the account \`api-server\`; no default, the broker does not start without it
    BROKER_PACKAGER_PASSCODE           passcode of the account \`packager\`; likewise
    BROKER_OPERATOR_PASSCODE           passcode of the account \`operator\`; likewise
    BROKER_HOST                        address to listen on
    BROKER_STOMP_PORT, BROKER_WS_PORT  ports to listen on
    BROKER_WS_SCHEME                   \`ws\`; \`stomp\` where the build has no WebSocket transport (Debian's)
    BROKER_STORE_LIMIT                 most that the journal may take on disk
${tls ? TLS_VARIABLES : ''}  The schema of the file takes no placeholder where a number belongs, so these stand in it, in milliseconds:
    ttlCeiling, zeroExpirationOverride  how long any message lives at the most, and one that says nothing of it
    inactiveTimeoutBeforeGC             how long an empty progress queue stays; longer than a packager is ever silent (2 min)
    schedulePeriodForDestinationPurge   how often idle queues are looked for
    expireMessagesPeriod                how often expired messages are looked for
    expiration                          how long a dead letter is kept
-->
<beans xmlns="http://www.springframework.org/schema/beans" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
  xsi:schemaLocation="http://www.springframework.org/schema/beans http://www.springframework.org/schema/beans/spring-beans.xsd
    http://activemq.apache.org/schema/core http://activemq.apache.org/schema/core/activemq-core.xsd">

  <bean class="org.springframework.beans.factory.config.PropertyPlaceholderConfigurer"/>

  <!-- Nobody listens to advisories; with them every account would need rights on ActiveMQ.Advisory.> to connect at all. -->
  <broker xmlns="http://activemq.apache.org/schema/core" brokerName="adit" dataDirectory="\${activemq.data}"
    useJmx="false" advisorySupport="false" populateJMSXUserID="true"
    schedulePeriodForDestinationPurge="${sweepMs}">

    <!-- Made at the start, so that neither side needs the right to create them. \`docsets/package\` to a client. -->
    <destinations>
      <queue physicalName="docsets.package"/>
      <queue physicalName="docsets.package.large"/>
      <queue physicalName="docsets.delete"/>
      <queue physicalName="docsets.dead"/>
    </destinations>

    <destinationPolicy>
      <policyMap>
        <policyEntries>
          <!-- Progress queues. Unread events expire, the empty queue goes. fileQueueCursor: what the memory does not hold waits in the
               temporary store, from a quarter of the limit on, since a short event takes twice as much as the broker counts for
               it. With all of it in memory (vmQueueCursor) unread events could fill it, and above 110% nothing expires any more that
               nobody reads; the stock cursor sends persistent messages before older non-persistent ones, which would hand
               \`Complete\` out before the progress ahead of it. -->
          <policyEntry queue="package.>" gcInactiveDestinations="true" inactiveTimeoutBeforeGC="${idleQueueMs}"
            expireMessagesPeriod="${expiryMs}" maxPageSize="400" cursorMemoryHighWaterMark="25" producerFlowControl="false">
            <deadLetterStrategy>
              <sharedDeadLetterStrategy processExpired="false" processNonPersistent="false"/>
            </deadLetterStrategy>
            <pendingQueuePolicy>
              <fileQueueCursor/>
            </pendingQueuePolicy>
          </policyEntry>
          <!-- Dead letters end here: they expire, are never dead letters themselves, and are refused once the journal is 90% full:
               the rest is for requests. -->
          <policyEntry queue="docsets.dead" expireMessagesPeriod="${expiryMs}" storeUsageHighWaterMark="90">
            <deadLetterStrategy>
              <discarding/>
            </deadLetterStrategy>
          </policyEntry>
          <!-- \`adit queues check\` tries here what the work queues do, without disturbing them. They go as progress queues do. -->
          <policyEntry queue="docsets.check.>" gcInactiveDestinations="true" inactiveTimeoutBeforeGC="${idleQueueMs}"
            queuePrefetch="1" expireMessagesPeriod="${expiryMs}">
            ${deadLetters}
          </policyEntry>
          <!-- Work queues. What a packager refuses (NACK) goes to docsets/dead; what expired does not. No redeliveryPlugin: it
               counts only what was refused, and would need the packager to have the right to write requests. A request whose
               packager died is handed out again without end, flagged as redelivered: Adit counts its own attempts. -->
          <policyEntry queue="docsets.>" queuePrefetch="1" expireMessagesPeriod="${expiryMs}">
            ${deadLetters}
          </policyEntry>
        </policyEntries>
      </policyMap>
    </destinationPolicy>

    <persistenceAdapter>
      <!-- The journal counts against its limit by whole files, and a file goes once all in it is acknowledged, and all that it acknowledges
           is gone. Small files, looked at often: else one request that waits would keep 32 MB, and a full journal would stay
           full for five minutes after it was emptied, while packagers cannot say that they are done. -->
      <!-- Of two brokers on one directory, the one that waits for its lock looks every two seconds, and not every ten. -->
      <kahaDB directory="\${activemq.data}/kahadb" journalMaxFileLength="8mb" cleanupInterval="5000"
        compactAcksAfterNoGC="2" compactAcksIgnoresStoreGrowth="true">
        <locker>
          <shared-file-locker lockAcquireSleepInterval="2000"/>
        </locker>
      </kahaDB>
    </persistenceAdapter>

    <systemUsage>
      <systemUsage sendFailIfNoSpaceAfterTimeout="3000">
        <memoryUsage>
          <memoryUsage percentOfJvmHeap="${memoryPercent}"/>
        </memoryUsage>
        <storeUsage>
          <storeUsage limit="\${BROKER_STORE_LIMIT:${disk}}"/>
        </storeUsage>
        <tempUsage>
          <tempUsage limit="512 mb"/>
        </tempUsage>
      </systemUsage>
    </systemUsage>

${tls ? SSL_CONTEXT : ''}    <transportConnectors>
      <transportConnector name="stomp"
        uri="stomp://\${BROKER_HOST:${host}}:\${BROKER_STOMP_PORT:61613}?${STOMP_OPTIONS}"/>
      <transportConnector name="ws"
        uri="\${BROKER_WS_SCHEME:ws}://\${BROKER_HOST:${host}}:\${BROKER_WS_PORT:61614}?${WS_OPTIONS}"/>
${tls ? TLS_CONNECTORS : ''}    </transportConnectors>

    <!-- The last plugin sees a call first: names become \`package.5\` before the rights are looked up. -->
    <plugins>
      <!-- How long a message lives is counted from the time stamp that Adit sends with it, so that clocks may differ. None lives
           longer than this, whatever its sender says or leaves out, so that no queue stays for ever because of one of them. It
           holds for all queues. Messages with \`timestamp:0\`, as Adit sends its dead letters, are left as they are. -->
      <timeStampingBrokerPlugin ttlCeiling="${ceiling}" zeroExpirationOverride="${ceiling}"/>
      <!-- What \`adit queues status\` asks. -->
      <statisticsBrokerPlugin/>
      <simpleAuthenticationPlugin anonymousAccessAllowed="false">
        <users>
          <authenticationUser username="api-server" password="\${BROKER_API_SERVER_PASSCODE}" groups="api-servers"/>
          <authenticationUser username="packager" password="\${BROKER_PACKAGER_PASSCODE}" groups="packagers"/>
          <authenticationUser username="operator" password="\${BROKER_OPERATOR_PASSCODE}" groups="operators"/>
        </users>
      </simpleAuthenticationPlugin>
      <authorizationPlugin>
        <map>
          <authorizationMap>
            <authorizationEntries>
              <authorizationEntry queue=">" read="operators" write="operators" admin="operators"/>
              <authorizationEntry topic=">" read="operators" write="operators" admin="operators"/>
              <authorizationEntry queue="docsets.package" read="packagers" write="api-servers" admin="operators"/>
              <authorizationEntry queue="docsets.package.large" read="packagers" write="api-servers" admin="operators"/>
              <authorizationEntry queue="docsets.delete" read="packagers" write="api-servers" admin="operators"/>
              <authorizationEntry queue="docsets.dead" read="operators" write="api-servers,packagers" admin="operators"/>
              <!-- Whoever touches a progress queue first creates it (admin). The api-server writes its drain's fence, no more. -->
              <authorizationEntry queue="package.>" read="api-servers" write="api-servers,packagers" admin="api-servers,packagers"/>
            </authorizationEntries>
            <tempDestinationAuthorizationEntry>
              <tempDestinationAuthorizationEntry read="operators" write="operators" admin="operators"/>
            </tempDestinationAuthorizationEntry>
          </authorizationMap>
        </map>
      </authorizationPlugin>
      <destinationPathSeparatorPlugin pathSeparator="/"/>
    </plugins>
  </broker>
</beans>
`;
}
