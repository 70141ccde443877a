/** What S3's errors mean; the only place that reads them. */
import { isNativeError } from 'node:util/types';
import { S3ServiceException } from '@aws-sdk/client-s3';
import { ObjectMissingError, StoreUnavailableError } from './archive-store.js';

const MISSING = new Set(['NoSuchKey', 'NotFound', 'NoSuchUpload']);

const PAYLOAD_MISMATCH = new Set(['XAmzContentSHA256Mismatch', 'BadDigest']);

/** True where the object, or the upload, is not there. A missing bucket is a fault of another kind. */
export function isMissing(error: unknown): boolean {
  if (!(error instanceof S3ServiceException)) return false;
  return MISSING.has(error.name) || (error.$metadata.httpStatusCode === 404 && error.name !== 'NoSuchBucket');
}

/** 412: there is such an object. */
export function isPreconditionFailed(error: unknown): boolean {
  return error instanceof S3ServiceException && error.$metadata.httpStatusCode === 412;
}

/** 409: somebody else is writing this key at this moment. */
export function isConflict(error: unknown): boolean {
  return error instanceof S3ServiceException && error.$metadata.httpStatusCode === 409;
}

/** Statuses that the same request would be answered with again. */
const FINAL = new Set([400, 404, 405, 409, 411, 412, 416, 501]);

/** True where the store has understood the request, and would not answer it otherwise. */
export function isAnswer(error: unknown): boolean {
  if (!(error instanceof S3ServiceException) || error.name === 'RequestTimeout') return false;
  return FINAL.has(error.$metadata.httpStatusCode ?? 0);
}

/** 403: it may not be done, or was signed with a wrong secret, or at a wrong time. */
export function isRefusal(error: unknown): boolean {
  return error instanceof S3ServiceException && error.$metadata.httpStatusCode === 403;
}

/** 501: the store does not know this feature. */
export function isNotImplemented(error: unknown): boolean {
  return error instanceof S3ServiceException && error.$metadata.httpStatusCode === 501;
}

/** 400: the bytes that arrived are not those whose digest was signed. */
export function isPayloadMismatch(error: unknown): boolean {
  return error instanceof S3ServiceException && PAYLOAD_MISMATCH.has(error.name);
}

/** The port's error for one of the SDK's; anything else passes as it is. */
export function translateS3Error(error: unknown, key: string): unknown {
  if (error instanceof ObjectMissingError || error instanceof StoreUnavailableError) return error;
  if (isMissing(error)) return new ObjectMissingError(key, { cause: error });
  if (error instanceof S3ServiceException) {
    const status = error.$metadata.httpStatusCode;
    return new StoreUnavailableError(`the archive store answered ${status ?? 'nothing'} ${error.name}`, {
      cause: error,
    });
  }
  if (isNativeError(error) && ('$metadata' in error || isNetworkFailure(error))) {
    return new StoreUnavailableError(`the archive store could not be reached: ${error.message}`, { cause: error });
  }
  return error;
}

function isNetworkFailure(error: Error): boolean {
  if (error.name === 'TimeoutError' || error.name === 'CredentialsProviderError') return true;
  return 'code' in error && typeof error.code === 'string' && /^(E[A-Z]+|EAI_\w+|ERR_(SSL|TLS)\w*)$/.test(error.code);
}
