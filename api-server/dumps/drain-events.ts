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
  type DrainLimit,
  type DumpManifest,
  type PackagerEvent,
  type ReceivedMessage,
} from '../../queue-config/index.js';
import { ArchiveStoreError } from './archive-links/archive-links.js';
import { createDrainTally, type DrainTally } from './drain-tally.js';
import { isLive, warned, type Dump } from './dump.js';
import type { DumpParts } from './dump-parts.js';
import { foldEvent } from './fold-event.js';
import { refusalOf, type Refusal } from './judge-event.js';

/** A poll waits no longer than this for the broker, in milliseconds. */
const DRAIN_TIMEOUT = 3_000;

/** What one poll reads: many times what honest packagers report of all dumps that a docset has. */
const DRAIN_LIMIT: DrainLimit = { messages: 1_000, characters: 4 * 1024 * 1024 };

export interface Drained {
  /** False where broker or store could not be reached, so that what the database has may be stale. */
  isFresh: boolean;
  /** False where there was more than one poll reads. */
  isComplete: boolean;
  /** True where nothing was waiting to be read. */
  isEmpty: boolean;
  /** The dumps that were changed, by id. */
  changed: Map<string, Dump>;
}

/**
 * Drains the events of a docset, so many of them at the most. Each batch is acknowledged only after its commit.
 * @param known the dump of it that was just looked up
 */
export async function drainEvents(parts: DumpParts, known: Dump): Promise<Drained> {
  const { docset } = known;
  const started = performance.now();
  const took = (): number => (performance.now() - started) / 1000;
  const changed = new Map<string, Dump>();
  const tally = createDrainTally(parts, docset);
  const fold = async (messages: ReceivedMessage[]): Promise<void> => {
    for (const dump of await foldBatch(parts, known, messages, tally)) changed.set(dump.id, dump);
  };
  // What was read is written: a miner need not wait until the broker has heard that, and what comes twice is known.
  const onUnconfirmed = (error: unknown): void =>
    parts.log.info({ err: error, docset }, 'events may come a second time: the broker did not confirm their end');
  try {
    const options = { timeoutMs: DRAIN_TIMEOUT, limit: DRAIN_LIMIT, onUnconfirmed };
    const { drained, isComplete } = await parts.broker.drain(eventsOf(docset), fold, options);
    parts.metrics.drained(took(), isComplete ? 'drained' : 'cut');
    if (!isComplete) parts.log.warn({ docset, drained }, 'more events wait than one poll reads');
    return { isFresh: true, isComplete, isEmpty: drained === 0, changed };
  } catch (error) {
    parts.metrics.drained(took(), 'failed');
    if (!isOutage(error)) throw error;
    parts.log.warn({ err: error, docset }, 'events could not be read; the answer may be stale');
    return { isFresh: false, isComplete: false, isEmpty: false, changed };
  } finally {
    tally.report();
  }
}

/** True for a broker or an archive store that cannot be reached: what is known can still be told. */
export function isOutage(error: unknown): boolean {
  return (
    error instanceof BrokerUnavailableError || error instanceof BrokerRefusedError || error instanceof ArchiveStoreError
  );
}

/** @returns the dumps that it changed */
async function foldBatch(
  parts: DumpParts,
  known: Dump,
  messages: ReceivedMessage[],
  tally: DrainTally,
): Promise<Dump[]> {
  const { docset } = known;
  const { events, unreadable } = readEvents(messages, tally);
  const manifests = await readManifests(parts, docset, events);
  let refused: { refusal: Refusal; event: PackagerEvent }[] = [];
  const fold = (live: Dump[]): Dump[] => {
    refused = [];
    return foldAll(parts, live, events, manifests, (refusal, event) => refused.push({ refusal, event }));
  };
  const changed = await changeWith(parts, known, events, fold);
  for (const { refusal, event } of refused) tally.refuse(refusal, event);
  for (const dump of changed.filter((each) => !isLive(each))) parts.metrics.finished(dump.outcome.status);
  for (const letter of unreadable) await deadLetter(parts, docset, letter, tally);
  return changed;
}

/** Most batches are the progress of the dump that is polled: then no other needs to be read. */
async function changeWith(
  { store }: DumpParts,
  known: Dump,
  events: PackagerEvent[],
  fold: (live: Dump[]) => Dump[],
): Promise<Dump[]> {
  const isOfKnown = events.every(({ type, dump }) => type !== 'Complete' && dump === known.id);
  if (!isOfKnown) return store.changeLive(known.docset, fold);
  const changed = await store.change(
    known.id,
    (current) => fold(isLive(current) ? [current] : [])[0] ?? current,
    known,
  );
  return changed === undefined ? [] : [changed];
}

interface Unreadable {
  message: ReceivedMessage;
  reason: string;
}

function readEvents(
  messages: ReceivedMessage[],
  tally: DrainTally,
): { events: PackagerEvent[]; unreadable: Unreadable[] } {
  const events: PackagerEvent[] = [];
  const unreadable: Unreadable[] = [];
  for (const message of messages) {
    try {
      const event = decodeEvent(message);
      if (event === undefined) tally.refuse('unknown-word', { body: message.body.slice(0, 200) });
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

/** The manifests of those live dumps of which a `Complete` speaks, by dump and attempt: however many of them there are, each once. */
async function readManifests(
  parts: DumpParts,
  docset: string,
  events: PackagerEvent[],
): Promise<Map<string, DumpManifest>> {
  const found = new Map<string, DumpManifest>();
  const named = new Set(events.flatMap(({ type, dump }) => (type === 'Complete' && dump !== undefined ? [dump] : [])));
  if (named.size === 0) return found;
  for (const { id, attempt } of await parts.store.liveOf(docset)) {
    const manifest = named.has(id) ? await findManifest(parts, id, attempt) : undefined;
    if (manifest !== undefined) found.set(archiveKey(id, attempt), manifest);
  }
  return found;
}

/**
 * What the packager wrote last at an attempt's key; undefined where there is nothing that can be trusted, or not the archive that
 * it speaks of. Of that only the size is known here: its digest is for the miner to check, who reads all of it.
 */
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
    const { archive, packager } = manifest;
    if (manifest.dump !== dump || !archive.key.startsWith(prefix)) {
      log.error({ dump, attempt, packager, key: archive.key }, 'a manifest speaks of another dump');
    } else if (await links.has(archive)) {
      return manifest;
    } else {
      log.error(
        { dump, attempt, packager, archive },
        'a manifest speaks of an archive that is not there, or not of its size',
      );
    }
  } catch (error) {
    if (!(error instanceof UnreadableMessageError)) throw error;
    log.error({ err: error, dump, attempt }, 'a manifest cannot be read');
  }
  return undefined;
}

function foldAll(
  { store, terms, log }: DumpParts,
  before: Dump[],
  events: PackagerEvent[],
  manifests: Map<string, DumpManifest>,
  onRefused: (refusal: Refusal, event: PackagerEvent) => void,
): Dump[] {
  const { archiveTtl, foreignPackagers } = terms;
  const now = store.now();
  const after = [...before];
  for (const event of events) {
    const targets = targetsOf(after, event);
    const [index = -1] = targets;
    const dump = after[index];
    if (dump === undefined) {
      onRefused('fits-none', event);
      continue;
    }
    if (targets.length > 1) {
      onRefused('ambiguous', event);
      for (const each of targets) after[each] = noteAmbiguous(after[each] ?? dump, event, now);
      continue;
    }
    const manifest = manifests.get(archiveKey(dump.id, dump.attempt));
    const context = { now, archiveTtl, foreignPackagers, manifest };
    const refusal = refusalOf(dump, event, context);
    if (refusal !== undefined) onRefused(refusal, event);
    if (refusal === 'ticket-wrong') after[index] = warned(dump, 'ticket-wrong', now, event.packager ?? null);
    if (refusal !== undefined) continue;
    const folded = foldEvent(dump, event, context);
    if (folded.attempt !== dump.attempt) {
      const { packager } = event;
      log.warn({ dump: dump.id, attempt: dump.attempt, packager }, 'an archive was reported that is not there');
    }
    after[index] = folded;
  }
  return after;
}

/**
 * Which dumps an event may speak of. A bare message does not say: packagers take requests in order, so `Accepted.` is of the oldest
 * dump that still waits, and anything else of the one that a bare `Accepted.` has set going. Never of one that does not fit, and
 * of several none: no news is mended by the lease, another dump's archive would be wrong for good.
 */
function targetsOf(dumps: Dump[], event: PackagerEvent): number[] {
  const fitting = (fits: (dump: Dump) => boolean): number[] =>
    dumps.flatMap((dump, index) => (isLive(dump) && fits(dump) ? [index] : []));
  if (event.dump !== undefined) return fitting(({ id }) => id === event.dump);
  const isBare = ({ run, ticketed }: Dump): boolean => run === null && !ticketed;
  if (event.type !== 'Accepted') return fitting((dump) => dump.outcome.status === 'running' && isBare(dump));
  return fitting((dump) => dump.outcome.status === 'accepted' && isBare(dump)).slice(0, 1);
}

/** What one of them is at is not known, but that somebody is at work is. */
function noteAmbiguous(dump: Dump, event: PackagerEvent, now: Date): Dump {
  return event.type === 'Progress' ? { ...dump, updated: now } : warned(dump, 'report-ambiguous', now);
}

/** Puts a message aside with the reason, so that it neither blocks the ones behind it nor is lost. */
async function deadLetter(
  parts: DumpParts,
  docset: string,
  { message, reason }: Unreadable,
  tally: DrainTally,
): Promise<void> {
  parts.metrics.unreadableEvent();
  if (!tally.keepsUnreadable(reason)) return;
  parts.log.error({ docset, reason, body: message.body.slice(0, 2_000) }, 'an event could not be read');
  try {
    await parts.broker.publish(deadLetterMessage(message, eventsOf(docset), reason));
  } catch (error) {
    // A broker that lets us read but not write there must not make one bad message block the rest: the log has it.
    if (!(error instanceof BrokerRefusedError)) throw error;
    parts.log.error({ err: error, docset }, 'the broker refused a dead letter');
  }
}
