/** Requests that carry the digest of their body, signed: a store refuses them where other bytes arrive. */
import { createHash } from 'node:crypto';
import type { S3Client } from '@aws-sdk/client-s3';

/** Digests of bodies that are known already, as 64 hexadecimal digits. */
export const signedDigests = new WeakMap<Buffer, string>();

/**
 * Gives the signer the digest of each body, which would otherwise hash the body for each try, or over TLS not at all. A
 * store that receives other bytes answers 400 `XAmzContentSHA256Mismatch`, so that its 200 confirms every one of them.
 */
export function signPayloads(client: S3Client): S3Client {
  client.middlewareStack.add(
    (next) => (args) => {
      const { headers, body } = args.request as { headers: Record<string, string>; body?: unknown };
      if (Buffer.isBuffer(body)) {
        headers['x-amz-content-sha256'] = signedDigests.get(body) ?? createHash('sha256').update(body).digest('hex');
      }
      return next(args);
    },
    // Before the tries, which come with their signatures in the step after this one.
    { step: 'build', priority: 'low', name: 'signPayloads' },
  );
  return client;
}
