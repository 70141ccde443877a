/** Why something that a miner asked for came to nothing: each error is one sentence for a person, and has what a program needs. */
import type { components } from '../../api-server/http/openapi-types.js';

export type Problem = components['schemas']['Problem'];

/** The server refused, and said why (RFC 9457). */
export class RefusedError extends Error {
  override readonly name = 'RefusedError';
  constructor(
    readonly problem: Problem,
    /** Milliseconds that the server wants to be left alone, where it said so. */
    readonly retryAfter?: number,
  ) {
    super(problem.detail);
  }

  /** Last part of the problem's type, such as `docset-not-found`. */
  get slug(): string {
    return this.problem.type.slice(this.problem.type.lastIndexOf('/') + 1);
  }
}

/** The server could not be reached, or broke off in the middle of an answer. */
export class UnreachableError extends Error {
  override readonly name = 'UnreachableError';
  constructor(
    readonly url: string,
    /** Of the system, such as `ECONNREFUSED`, or a few words. */
    readonly code: string,
  ) {
    super(`${url} cannot be reached (${code}).`);
  }
}

/**
 * - `failed`, `dismissed`, `expired`: how the dump ended
 * - `damaged`: what came is not the archive that the server told of
 * - `file`: it cannot be kept where it should be
 */
export type DumpFault = 'failed' | 'dismissed' | 'expired' | 'damaged' | 'file';

/** There is no archive, or none that can be trusted. */
export class DumpError extends Error {
  override readonly name = 'DumpError';
  constructor(
    readonly fault: DumpFault,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}
