/** Why a job ends without an archive. */

/** What a `Failed` event says of its cause, in `Code:`. */
export type FailureCode =
  | 'source-unavailable'
  | 'source-refused'
  | 'listing-incomplete'
  | 'no-members'
  | 'storage-unavailable'
  | 'archive-not-verified'
  | 'packager-stalled'
  | 'packager-killed'
  | 'internal';

/** The job failed and the requester is told so; the message is one sentence for the miner. */
export class JobFailedError extends Error {
  override readonly name = 'JobFailedError';
  constructor(
    readonly code: FailureCode,
    detail: string,
    options?: ErrorOptions,
  ) {
    super(detail, options);
  }
}

/** Nobody wants the dump any more: the job ends and nothing is said. */
export class DumpGoneError extends Error {
  override readonly name = 'DumpGoneError';
  constructor(options?: ErrorOptions) {
    super('nobody wants this dump any more', options);
  }
}
