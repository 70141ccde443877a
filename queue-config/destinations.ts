/**
 * The queues of the contract. The names here are canonical (design §3); how a broker wants them spelled is decided
 * in `dialects.ts` and nowhere else.
 */

/** A queue by its canonical name, such as `/queue/package/5`. Made only by this file. */
export type Destination = string & { readonly __destination: unique symbol };

const ID = /^[A-Za-z0-9_-]{1,64}$/;

/** Package requests, api-server to packagers. Permanent. */
export const PACKAGE_REQUESTS = '/queue/docsets/package' as Destination;

/** Package requests of large docsets, so that a small one never waits behind them. Permanent. */
export const LARGE_PACKAGE_REQUESTS = '/queue/docsets/package/large' as Destination;

/** Requests to free the storage of a dump, api-server to packagers. Permanent. */
export const DELETE_REQUESTS = '/queue/docsets/delete' as Destination;

/** Messages that could not be read, with the reason (dead letter channel). Permanent; its messages expire. */
export const DEAD_LETTERS = '/queue/docsets/dead' as Destination;

/** True for an id that no broker takes for a separator or a wildcard: `[A-Za-z0-9_-]`, 1 to 64 of them. */
export function isId(text: string): boolean {
  return ID.test(text);
}

/**
 * The transient queue on which packagers report about a docset.
 * @throws {RangeError} for an id that is not `[A-Za-z0-9_-]{1,64}`
 */
export function eventsOf(docset: string): Destination {
  if (!isId(docset)) throw new RangeError(`docset id ${JSON.stringify(docset)} is not 1 to 64 of A-Z a-z 0-9 _ -`);
  return `/queue/package/${docset}` as Destination;
}

/**
 * The canonical destination that a `reply-to` header names, or undefined where it names none of ours: a packager
 * never sends to a queue of somebody else's choosing.
 */
export function parseEventsDestination(text: string): Destination | undefined {
  const id = /^\/queue\/package\/(.+)$/.exec(text)?.[1];
  return id !== undefined && isId(id) ? eventsOf(id) : undefined;
}
