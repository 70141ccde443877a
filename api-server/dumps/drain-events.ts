/** Reads what packagers have said about a docset since the last poll, and writes it to the database. */
import {
  BrokerRefusedError,
  BrokerUnavailableError,
  UnreadableMessageError,
  archiveKey,
  deadLetterMessage,
  decodeEvent,
  decodeManifest,
  eventsOf,
  manifestKey,
  type DumpManifest,
  type PackagerEvent,
  type ReceivedMessage,
} from '../../queue-config/index.js';
import { ArchiveStoreError } from './archive-links/archive-links.js';
import { isLive, type Dump } from './dump.js';
import type { DumpParts } from './dump-parts.js';
import { foldEvent } from './fold-event.js';

/** A poll waits no longer than this for the broker, in milliseconds. */
const DRAIN_TIMEOUT = 3_000;

export interface Drained {
  /** False where broker or store could not be reached, so that what the database has may be stale. */
  isFresh: boolean;
  /** The dumps that were changed, by id. */
  changed: Map<string, Dump>;
}

/** Drains the events of a docset. Each batch is acknowledged only after its commit. */
export async function drainEvents(parts: DumpParts, docset: string): Promise<Drained> {
  const started = performance.now();
  const took = (): number => (performance.now() - started) / 1000;
  const changed = new Map<string, Dump>();
  const fold = async (messages: ReceivedMessage[]): Promise<void> => {
    for (const dump of await foldBatch(parts, docset, messages)) changed.set(dump.id, dump);
  };
  // What was read is written: a miner need not wait until the broker has heard that, and what comes twice is known.
  const onUnconfirmed = (error: unknown): void =>
    parts.log.info({ err: error, docset }, 'events may come a second time: the broker did not confirm their end');
  try {
    await parts.broker.drain(eventsOf(docset), fold, { timeoutMs: DRAIN_TIMEOUT, onUnconfirmed });
    parts.metrics.drained(took(), 'drained');
    return { isFresh: true, changed };
  } catch (error) {
    parts.metrics.drained(took(), 'failed');
    if (!isOutage(error)) throw error;
    parts.log.warn({ err: error, docset }, 'events could not be read; the answer may be stale');
    return { isFresh: false, changed };
  }
}

/** True for a broker or an archive store that cannot be reached: what is known can still be told. */
export function isOutage(error: unknown): boolean {
  return (
    error instanceof BrokerUnavailableError || error instanceof BrokerRefusedError || error instanceof ArchiveStoreError
  );
}

/** @returns the dumps that it changed */
async function foldBatch(parts: DumpParts, docset: string, messages: ReceivedMessage[]): Promise<Dump[]> {
  const { events, unreadable } = readEvents(parts, docset, messages);
  const manifests = await readManifests(parts, events);
  const changed = await parts.store.changeLive(docset, (live) => foldAll(parts, live, events, manifests));
  for (const dump of changed.filter((each) => !isLive(each))) parts.metrics.finished(dump.outcome.status);
  for (const letter of unreadable) await deadLetter(parts, docset, letter);
  return changed;
}

interface Unreadable {
  message: ReceivedMessage;
  reason: string;
}

function readEvents(
  { log }: DumpParts,
  docset: string,
  messages: ReceivedMessage[],
): { events: PackagerEvent[]; unreadable: Unreadable[] } {
  const events: PackagerEvent[] = [];
  const unreadable: Unreadable[] = [];
  for (const message of messages) {
    try {
      const event = decodeEvent(message);
      if (event === undefined) log.info({ docset, body: message.body.slice(0, 200) }, 'ignored an unknown event');
      else if (event.type === 'Complete') events.push(checkLink(event));
      else events.push(event);
    } catch (error) {
      if (!(error instanceof UnreadableMessageError)) throw error;
      unreadable.push({ message, reason: error.message });
    }
  }
  return { events, unreadable };
}

/** A miner is sent to where a packager without our headers says that the archive is: that has to be a web address. */
function checkLink(event: Extract<PackagerEvent, { type: 'Complete' }>): PackagerEvent {
  if (event.sequence === undefined && !/^https?:/i.test(event.url)) {
    throw new UnreadableMessageError('Complete names no http(s) URL');
  }
  return event;
}

/** The manifests behind the `Complete` events, by dump and attempt. */
async function readManifests(parts: DumpParts, events: PackagerEvent[]): Promise<Map<string, DumpManifest>> {
  const found = new Map<string, DumpManifest>();
  for (const { type, dump, attempt } of events) {
    if (type !== 'Complete' || dump === undefined) continue;
    const manifest = await findManifest(parts, dump, attempt ?? 1);
    if (manifest !== undefined) found.set(archiveKey(dump, attempt ?? 1), manifest);
  }
  return found;
}

/** What the packager wrote last at an attempt's key; undefined where there is nothing that can be trusted. */
export async function findManifest(
  { links, log }: DumpParts,
  dump: string,
  attempt: number,
): Promise<DumpManifest | undefined> {
  const prefix = archiveKey(dump, attempt);
  const text = await links.readText(manifestKey(prefix));
  if (text === undefined) return undefined;
  try {
    const manifest = decodeManifest(text);
    if (manifest.dump === dump && manifest.archive.key.startsWith(prefix)) return manifest;
    log.error({ dump, attempt, key: manifest.archive.key }, 'a manifest speaks of another dump');
  } catch (error) {
    if (!(error instanceof UnreadableMessageError)) throw error;
    log.error({ err: error, dump, attempt }, 'a manifest cannot be read');
  }
  return undefined;
}

function foldAll(
  { terms, log }: DumpParts,
  before: Dump[],
  events: PackagerEvent[],
  manifests: Map<string, DumpManifest>,
): Dump[] {
  const now = new Date();
  const after = [...before];
  for (const event of events) {
    const index = indexOfTarget(after, event);
    const dump = after[index];
    if (dump === undefined) {
      log.info({ dump: event.dump, type: event.type }, 'dropped an event of a dump that is over, or of none');
      continue;
    }
    const manifest = manifests.get(archiveKey(dump.id, event.attempt ?? 1));
    after[index] = foldEvent(dump, event, { now, archiveTtl: terms.archiveTtl, manifest });
  }
  return after;
}

/**
 * Which dump an event speaks of. A bare message does not say: packagers take requests in order, so `Accepted.` is of the oldest
 * dump that still waits, and anything else of the oldest that a bare `Accepted.` has set going. Never of one that does not
 * fit: no news is mended by the lease, another dump's archive would be wrong for good.
 */
function indexOfTarget(dumps: Dump[], event: PackagerEvent): number {
  if (event.dump !== undefined) return dumps.findIndex(({ id }) => id === event.dump);
  const wanted = event.type === 'Accepted' ? 'accepted' : 'running';
  return dumps.findIndex(({ outcome, run }) => outcome.status === wanted && run === null);
}

/** Puts a message aside with the reason, so that it neither blocks the ones behind it nor is lost. */
async function deadLetter(parts: DumpParts, docset: string, { message, reason }: Unreadable): Promise<void> {
  parts.metrics.unreadableEvent();
  parts.log.error({ docset, reason, body: message.body.slice(0, 2_000) }, 'an event could not be read');
  try {
    await parts.broker.publish(deadLetterMessage(message, eventsOf(docset), reason));
  } catch (error) {
    // A broker that lets us read but not write there must not make one bad message block the rest: the log has it.
    if (!(error instanceof BrokerRefusedError)) throw error;
    parts.log.error({ err: error, docset }, 'the broker refused a dead letter');
  }
}
