/** How long a store that is away is waited for: the SDK's own tries are over within a second. */
import type { S3ClientConfig } from '@aws-sdk/client-s3';
import { isAnswer, isRefusal } from './s3-errors.js';

type Strategy = Extract<NonNullable<S3ClientConfig['retryStrategy']>, { refreshRetryTokenForRetry: unknown }>;
type Token = Awaited<ReturnType<Strategy['acquireInitialRetryToken']>>;

/** A store that restarts, or fails over, fails no dump: milliseconds. */
export const PATIENCE = 30_000;

/** Milliseconds until the first further try; doubles. */
const FIRST_PAUSE = 100;
/** Also what the end of a job may wait for. */
const LONGEST_PAUSE = 3_000;
/** Tries of a request, however long the store has been away. */
const FEWEST = 4;
/** Of one that fails while others succeed. */
const MOST = 16;

/**
 * What the store, or the way to it, may get over by itself is tried again until the store has answered nobody for `patience`
 * milliseconds; whoever comes then waits no longer, so that a job that has failed is cleared away at once.
 */
export function patientStrategy(patience: number): Strategy {
  let awaySince: number | undefined;
  return {
    acquireInitialRetryToken: () => Promise.resolve(tokenOf(0)),
    refreshRetryTokenForRetry(token, { errorType, error }) {
      const tries = token.getRetryCount() + 1;
      // Where our clock is four minutes off, the SDK corrects it by each answer, and takes every error for worth another try.
      // A refusal is: once.
      const isFinal = errorType === 'CLIENT_ERROR' || isAnswer(error) || (isRefusal(error) && tries > 1);
      if (isFinal) awaySince = undefined;
      else awaySince ??= performance.now();
      const isAwayForLong = performance.now() - (awaySince ?? 0) > patience;
      if (isFinal || tries >= (isAwayForLong ? FEWEST : MOST)) {
        return Promise.reject(new Error('that was the last try'));
      }
      return Promise.resolve(tokenOf(tries));
    },
    recordSuccess() {
      awaySince = undefined;
    },
  };
}

const tokenOf = (retries: number): Token => ({
  getRetryCount: () => retries,
  // Those who were refused together do not come back together.
  getRetryDelay: () =>
    retries === 0 ? 0 : Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (retries - 1)) * (0.75 + Math.random() / 4),
});
