/**
 * The ticket of an attempt: it goes out with the package request and comes back with each event, so that nobody answers for a dump
 * that somebody else was given to make.
 */
import { createHash, randomBytes } from 'node:crypto';

/** What the tickets of a dump are made from; known to nobody else. */
export const newTicketSeed = (): string => randomBytes(18).toString('base64url');

/** @returns undefined for a dump of a version that knew no tickets */
export function ticketOf({ ticketSeed, attempt }: { ticketSeed: string; attempt: number }): string | undefined {
  if (ticketSeed === '') return undefined;
  return createHash('sha256').update(`${ticketSeed} ${attempt}`).digest('base64url').slice(0, 24);
}
