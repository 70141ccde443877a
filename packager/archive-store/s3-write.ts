/** Writes a stream of any length as one S3 object, and leaves nothing where that fails. */
import { DeleteObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import { createStreamDigest } from '../hashing/hash-thread.js';
import { giveShared } from '../hashing/shared-memory.js';
import { StoreUnavailableError, type ByteSource, type WriteOptions, type WrittenObject } from './archive-store.js';
import { abortUploads, startMultipartUpload, type MultipartUpload } from './multipart-upload.js';
import { signedDigests } from './s3-signed-payloads.js';
import { cutIntoParts, partSizes } from './parts.js';

interface WriteTarget {
  client: S3Client;
  bucket: string;
  key: string;
  put: (key: string, content: Buffer, mediaType: string, ifAbsent: boolean, signal?: AbortSignal) => Promise<void>;
}

/** A small object goes by one PutObject, anything longer by a multipart upload. */
export async function writeObject(
  { client, bucket, key, put }: WriteTarget,
  source: ByteSource,
  { mediaType, size: length, signal, onBytes }: WriteOptions,
): Promise<WrittenObject> {
  const digest = createStreamDigest(length);
  let size = 0;
  let upload: MultipartUpload | undefined;
  /** Held back until there is a second one, or none. */
  let first: { bytes: Buffer; sha256: Promise<string> } | undefined;
  const send = async (bytes: Buffer, number: number, sha256: Promise<string>): Promise<void> => {
    const options = { signal, onBytes, onSent: giveShared };
    upload ??= await startMultipartUpload({ client, bucket, key, mediaType }, options);
    await upload.add(bytes, number, sha256);
  };
  signal?.throwIfAborted();
  try {
    for await (const { bytes, number } of cutIntoParts(source, partSizes(length))) {
      signal?.throwIfAborted();
      const sha256 = digest.addPart(bytes);
      // Its failure is met when its turn comes.
      sha256.catch(() => undefined);
      size += bytes.length;
      if (number === 1) {
        first = { bytes, sha256 };
        continue;
      }
      if (first !== undefined) await send(first.bytes, 1, first.sha256);
      first = undefined;
      await send(bytes, number, sha256);
    }
    if (first !== undefined) {
      signedDigests.set(first.bytes, await first.sha256);
      await put(key, first.bytes, mediaType, false, signal);
      onBytes?.(first.bytes.length);
      giveShared(first.bytes);
    }
    await upload?.complete();
    // Each request carried the digest of its body, signed, and was taken.
    return { size, sha256: await digest.digest(), confirmed: true };
  } catch (error) {
    await clearAway({ client, bucket, key }, upload, error);
    // A request cut short by the signal rejects with the SDK's own AbortError: the signal's reason says why.
    throw signal?.aborted === true ? signal.reason : error;
  }
}

/** After a failed write. The write's own error is the one to report; that the clearing failed too is its `cause`. */
async function clearAway(
  { client, bucket, key }: { client: S3Client; bucket: string; key: string },
  upload: MultipartUpload | undefined,
  writeError: unknown,
): Promise<void> {
  try {
    await upload?.abort();
    // An upload that was created, but whose answer was lost, is found by its key only.
    await abortUploads(client, bucket, key);
    // A PutObject, or a completion, whose answer was lost may have made the object all the same.
    await client.send(new DeleteObjectCommand({ Bucket: bucket, Key: key }));
  } catch (clearingError) {
    const errors = [writeError, clearingError];
    throw new StoreUnavailableError(`the write of ${key} failed, and clearing it away did too`, {
      cause: new AggregateError(errors),
    });
  }
}
