/** Content in S3, or in a store that speaks its API. */
import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { isNativeError } from 'node:util/types';
import {
  DeleteObjectCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
  S3ServiceException,
} from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import type { ApiServerConfig } from '../../config.js';
import {
  ContentMissingError,
  ContentUnavailableError,
  checkKey,
  checkPrefix,
  type ByteSpan,
  type ContentStore,
} from './content-store.js';

type S3Config = NonNullable<ApiServerConfig['s3']>;

export function openS3ContentStore(config: S3Config): ContentStore {
  const { bucket } = config;
  const client = connect(config);
  const target = (key: string) => ({ Bucket: bucket, Key: checkKey(key) });

  const remove = async (key: string): Promise<void> => {
    await client.send(new DeleteObjectCommand(target(key)));
  };

  async function* read(key: string, span: ByteSpan): AsyncGenerator<Buffer> {
    if (span.start >= span.end) return;
    const Range = `bytes=${span.start}-${span.end - 1}`;
    const { Body } = await translated(key, () => client.send(new GetObjectCommand({ ...target(key), Range })));
    if (!(Body instanceof Readable)) throw new ContentUnavailableError(`the content store sent no body for ${key}`);
    let missing = span.end - span.start;
    try {
      for await (const piece of Body) {
        missing -= (piece as Buffer).length;
        yield piece as Buffer;
      }
    } catch (error) {
      throw translateS3Error(error, key);
    } finally {
      // A reader who leaves in the middle would otherwise keep the connection.
      Body.destroy();
    }
    if (missing > 0) throw new ContentMissingError(key);
  }

  return {
    bucket,

    // One PutObject: it shows all of the object or nothing, and leaves no upload behind.
    write: (key, pieces) =>
      translated(key, async () => {
        const Body = Buffer.concat(pieces);
        const ContentMD5 = createHash('md5').update(Body).digest('base64');
        const command = new PutObjectCommand({ ...target(key), Body, ContentLength: Body.length, ContentMD5 });
        try {
          await client.send(command);
        } catch (error) {
          // Only its answer may have been lost, and the object be there.
          await remove(key).catch((second: unknown) => {
            throw new ContentUnavailableError(`the write of ${key} failed, and clearing it away did too`, {
              cause: new AggregateError([error, second]),
            });
          });
          throw error;
        }
      }),

    read,

    sign: (key, lifetime) =>
      translated(key, () => getSignedUrl(client, new GetObjectCommand(target(key)), { expiresIn: lifetime })),

    async *list(prefix) {
      let token: string | undefined;
      do {
        const command = new ListObjectsV2Command({
          Bucket: bucket,
          Prefix: checkPrefix(prefix),
          ContinuationToken: token,
        });
        const page = await translated(prefix, () => client.send(command));
        for (const { Key, Size, LastModified } of page.Contents ?? []) {
          if (Key !== undefined) yield { key: Key, size: Size ?? 0, modified: LastModified ?? new Date() };
        }
        token = page.IsTruncated === true ? page.NextContinuationToken : undefined;
      } while (token !== undefined);
    },

    delete: (key) => translated(key, () => remove(key)),

    // A PutObject that is cut off leaves nothing.
    sweepUnfinished: () => Promise.resolve(0),

    close: () => {
      client.destroy();
      return Promise.resolve();
    },
  };
}

function connect({ endpoint, region, credentials }: S3Config): S3Client {
  return new S3Client({
    region,
    ...(endpoint === undefined ? {} : { endpoint, forcePathStyle: true }),
    ...(credentials === undefined ? {} : { credentials }),
    // The SDK's own default sends trailing checksums, which stores of other makes answer with 411 or 501.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    maxAttempts: 4,
    requestHandler: { connectionTimeout: 5_000, socketTimeout: 60_000 },
  });
}

async function translated<T>(key: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw translateS3Error(error, key);
  }
}

/** The port's error for one of the SDK's; anything else passes as it is. */
function translateS3Error(error: unknown, key: string): unknown {
  if (error instanceof S3ServiceException) {
    const status = error.$metadata.httpStatusCode;
    // 416: the object ends before the span begins. A missing bucket is a fault of another kind.
    if ((status === 404 && error.name !== 'NoSuchBucket') || status === 416) {
      return new ContentMissingError(key, { cause: error });
    }
    return new ContentUnavailableError(`the content store answered ${status ?? 'nothing'} ${error.name}`, {
      cause: error,
    });
  }
  if (isNativeError(error) && ('$metadata' in error || isNetworkFailure(error))) {
    return new ContentUnavailableError(`the content store could not be reached: ${error.message}`, { cause: error });
  }
  return error;
}

function isNetworkFailure(error: Error): boolean {
  if (error.name === 'TimeoutError' || error.name === 'CredentialsProviderError') return true;
  return 'code' in error && typeof error.code === 'string' && /^(E[A-Z]+|EAI_\w+|ERR_(SSL|TLS)\w*)$/.test(error.code);
}
