/** Whether an event is believed. Decides only; what it does to a dump is in `fold-event.ts`. */
import type { PackagerEvent } from '../../queue-config/index.js';
import type { Dump } from './dump.js';
import { ticketOf } from './ticket.js';

/** How far a packager's clock may be ahead of ours, in milliseconds. */
export const CLOCK_ALLOWANCE = 60 * 60 * 1000;

/** Why an event changes nothing. Labels of a metric: a closed list. */
export const REFUSALS = [
  /** Its dump is over, or is none of this docset; or it names none, and none waits for such an event. */
  'fits-none',
  /** It names no dump, and several wait for such an event. */
  'ambiguous',
  /** Of an attempt that is over. */
  'older-attempt',
  /** Of an attempt that nobody has asked for yet. */
  'later-attempt',
  /** From somebody who was not given the dump to make. */
  'ticket-wrong',
  /** From a packager that was given no ticket, where only those that were are listened to. */
  'foreign',
  /** Its run lies in the future. */
  'future-run',
  /** A later run of the attempt has been heard of. */
  'older-run',
  /** The word that it starts with is not known. */
  'unknown-word',
] as const;

export type Refusal = (typeof REFUSALS)[number];

export interface JudgingTerms {
  now: Date;
  /** Whether packagers of another make, which know no tickets, are listened to. */
  foreignPackagers: boolean;
}

/** Why a live dump does not listen to an event that names it, or was taken for one of its own; undefined: it does. */
export function refusalOf(
  dump: Dump,
  event: PackagerEvent,
  { now, foreignPackagers }: JudgingTerms,
): Refusal | undefined {
  if (event.attempt !== undefined && event.attempt !== dump.attempt) {
    return event.attempt < dump.attempt ? 'older-attempt' : 'later-attempt';
  }
  const ticket = ticketOf(dump);
  if (ticket !== undefined) {
    if (event.ticket !== undefined && event.ticket !== ticket) return 'ticket-wrong';
    // Packagers of another make know of no ticket; but ours, once it has the dump, shows it each time.
    if (event.ticket === undefined && dump.ticketed) return 'ticket-wrong';
    if (event.ticket === undefined && !foreignPackagers) return 'foreign';
  }
  // It would outrank every honest run that follows.
  if (event.run !== undefined && event.run > now.getTime() + CLOCK_ALLOWANCE) return 'future-run';
  // What is complete is complete, whichever run says so: its manifest is looked at.
  if (event.type !== 'Complete' && event.run !== undefined && dump.run !== null && event.run < dump.run) {
    return 'older-run';
  }
  return undefined;
}
