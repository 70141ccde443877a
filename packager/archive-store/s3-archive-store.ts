/** Archives in S3, or in a store that speaks its API. */
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import type { ArchiveStoreConfig } from '../config.js';
import { checkKey, checkPrefix, StoreUnavailableError, type ArchiveStore, type StoredObject } from './archive-store.js';
import { abortUploads, listUploads } from './multipart-upload.js';
import { PATIENCE, patientStrategy } from './s3-patience.js';
import { writeObject } from './s3-write.js';
import { signPayloads } from './s3-signed-payloads.js';
import { isConflict, isMissing, isNotImplemented, isPreconditionFailed, translateS3Error } from './s3-errors.js';

type S3Config = Omit<Extract<ArchiveStoreConfig, { type: 's3' }>, 'type'>;

const CONFLICT_TRIES = 8;

/** @param patience how long it is waited for while it is away, in milliseconds */
export function openS3ArchiveStore(config: S3Config, { patience = PATIENCE } = {}): ArchiveStore {
  const { bucket } = config;
  const client = signPayloads(connect(config, patience));

  const translated = async <T>(key: string, work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      throw translateS3Error(error, key);
    }
  };

  const sizeOf = async (key: string): Promise<number | undefined> => {
    try {
      return (await client.send(new HeadObjectCommand({ Bucket: bucket, Key: checkKey(key) }))).ContentLength;
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
  };

  const put = async (key: string, content: Buffer, mediaType: string, ifAbsent: boolean, signal?: AbortSignal) => {
    const command = new PutObjectCommand({
      Bucket: bucket,
      Key: checkKey(key),
      Body: content,
      ContentLength: content.length,
      ContentType: mediaType,
      ...(ifAbsent ? { IfNoneMatch: '*' } : {}),
    });
    await client.send(command, signal ? { abortSignal: signal } : {});
  };

  const putIfAbsent = async (key: string, content: Buffer, mediaType: string): Promise<boolean> => {
    for (let tries = 1; ; tries++) {
      try {
        await put(key, content, mediaType, true);
        return true;
      } catch (error) {
        if (isPreconditionFailed(error)) return false;
        if (isNotImplemented(error)) break;
        if (!isConflict(error) || tries === CONFLICT_TRIES) throw error;
        await sleep(50 * tries);
      }
    }
    // A store without conditional writes: two writers in the same instant are not told apart, the later one stays.
    if ((await sizeOf(key)) !== undefined) return false;
    await put(key, content, mediaType, false);
    return true;
  };

  async function* list(prefix: string): AsyncGenerator<StoredObject> {
    let token: string | undefined;
    do {
      const command = new ListObjectsV2Command({
        Bucket: bucket,
        Prefix: checkPrefix(prefix),
        ContinuationToken: token,
      });
      const page = await translated(prefix, () => client.send(command));
      for (const { Key, Size } of page.Contents ?? []) if (Key !== undefined) yield { key: Key, size: Size ?? 0 };
      token = page.IsTruncated === true ? page.NextContinuationToken : undefined;
    } while (token !== undefined);
  }

  const uploads = (prefix: string) => listUploads(client, bucket, checkPrefix(prefix));

  const sweepUnfinished = (prefix: string, olderThan?: Date) =>
    abortUploads(client, bucket, checkPrefix(prefix), olderThan);

  const deleteBatch = async (keys: string[]): Promise<void> => {
    const Objects = keys.map((Key) => ({ Key }));
    const { Errors } = await client.send(
      new DeleteObjectsCommand({ Bucket: bucket, Delete: { Objects, Quiet: true } }),
    );
    const refused = Errors?.[0];
    if (refused)
      throw new StoreUnavailableError(
        `the archive store did not delete ${String(refused.Key)}: ${String(refused.Code)}`,
      );
  };

  return {
    urlOf: (key) => objectUrl(config, checkKey(key)),
    write: (key, source, options) =>
      translated(key, () => writeObject({ client, bucket, key: checkKey(key), put }, source, options)),
    putIfAbsent: (key, content, mediaType) => translated(key, () => putIfAbsent(key, content, mediaType)),
    get: (key) =>
      translated(key, async () => {
        try {
          const { Body } = await client.send(new GetObjectCommand({ Bucket: bucket, Key: checkKey(key) }));
          return Body && Buffer.from(await Body.transformToByteArray());
        } catch (error) {
          if (isMissing(error)) return undefined;
          throw error;
        }
      }),
    sizeOf: (key) => translated(key, () => sizeOf(key)),
    read: (key, range, signal) =>
      translated(key, async () => {
        const Range = range && `bytes=${range.start}-${range.end}`;
        const command = new GetObjectCommand({ Bucket: bucket, Key: checkKey(key), Range });
        const { Body } = await client.send(command, signal ? { abortSignal: signal } : {});
        if (!(Body instanceof Readable)) throw new StoreUnavailableError(`the archive store sent no body for ${key}`);
        return Body;
      }),
    list,
    listUnfinished: (prefix) =>
      translated(prefix, async () => {
        const keys: string[] = [];
        for await (const { Key } of uploads(prefix)) if (Key !== undefined) keys.push(Key);
        return keys;
      }),
    sweepUnfinished: (prefix, olderThan) => translated(prefix, () => sweepUnfinished(prefix, olderThan)),
    delete: (key) =>
      translated(key, async () => {
        await client.send(new DeleteObjectCommand({ Bucket: bucket, Key: checkKey(key) }));
      }),
    deleteAll: (prefix) =>
      translated(prefix, async () => {
        // Uploads first: one that completes in between would otherwise outlive its dump.
        await sweepUnfinished(prefix);
        let deleted = 0;
        for (let batch = await firstKeys(list(prefix)); batch.length > 0; batch = await firstKeys(list(prefix))) {
          await deleteBatch(batch);
          deleted += batch.length;
        }
        return deleted;
      }),
    check: () =>
      translated(bucket, async () => {
        await client.send(new HeadBucketCommand({ Bucket: bucket }));
      }),
    close: () => {
      client.destroy();
      return Promise.resolve();
    },
  };
}

function connect({ endpoint, region, credentials }: S3Config, patience: number): S3Client {
  return new S3Client({
    region,
    ...(endpoint === undefined ? {} : { endpoint, forcePathStyle: true }),
    ...(credentials === undefined
      ? {}
      : {
          credentials: {
            accessKeyId: credentials.accessKeyId,
            secretAccessKey: credentials.secretAccessKey,
            ...(credentials.sessionToken === undefined ? {} : { sessionToken: credentials.sessionToken }),
          },
        }),
    // The SDK's own default sends trailing checksums, which stores of other makes answer with 411 or 501.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    // With it the SDK opens a connection for each part, and waits for an answer before it sends any of it.
    expectContinueHeader: false,
    retryStrategy: patientStrategy(patience),
    requestHandler: { connectionTimeout: 5_000, socketTimeout: 60_000 },
  });
}

function objectUrl({ endpoint, bucket, region }: S3Config, key: string): string {
  const base =
    endpoint === undefined
      ? `https://${bucket}.s3.${region}.amazonaws.com`
      : `${endpoint.replace(/\/+$/, '')}/${bucket}`;
  return `${base}/${key}`;
}

/** As many keys as one DeleteObjects takes. */
async function firstKeys(objects: AsyncIterable<StoredObject>): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of objects) {
    keys.push(key);
    if (keys.length === 1000) break;
  }
  return keys;
}
