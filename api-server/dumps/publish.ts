/** Sends to packagers. */
import {
  DELETE_REQUESTS,
  LARGE_PACKAGE_REQUESTS,
  PACKAGE_REQUESTS,
  encodeDeleteRequest,
  encodePackageRequest,
} from '../../queue-config/index.js';
import type { Dump } from './dump.js';
import type { DumpParts } from './dump-parts.js';
import { queryOf } from './status-body.js';
import { ticketOf } from './ticket.js';

/**
 * Sends the package request of a dump's present attempt, and notes it once the broker has confirmed it.
 * @returns false where the dump was taken back meanwhile: the packager that gets the request will be told so
 * @throws {BrokerUnavailableError | BrokerRefusedError}
 */
export async function publishRequest(
  { broker, store, terms, publicUrl }: DumpParts,
  dump: Dump,
  traceparent?: string,
): Promise<boolean> {
  await broker.publish({
    destination: dump.counts.requested > terms.largeDocset ? LARGE_PACKAGE_REQUESTS : PACKAGE_REQUESTS,
    ...encodePackageRequest({
      url: `${publicUrl}/api/docsets/${dump.docset}${queryOf(dump)}`,
      dump: dump.id,
      docset: dump.docset,
      attempt: dump.attempt,
      ticket: ticketOf(dump),
      traceparent,
    }),
    persistent: true,
    expires: Date.now() + terms.requestTtl,
  });
  return store.markPublished(dump, store.now());
}

/**
 * Orders the deletion of all that is stored of a dump.
 * @throws {BrokerUnavailableError | BrokerRefusedError}
 */
export async function freeStorage({ broker, store }: DumpParts, dump: Dump): Promise<void> {
  if (dump.storageFreed !== null) return;
  await broker.publish({ destination: DELETE_REQUESTS, ...encodeDeleteRequest(dump.id), persistent: true });
  await store.markStorageFreed(dump.id, store.now());
}
