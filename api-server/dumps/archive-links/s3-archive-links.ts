/** Archives in S3. */
import { GetObjectCommand, HeadObjectCommand, S3Client, S3ServiceException } from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import { ArchiveStoreError, LINK_LIFETIME, mediaTypeOf, type ArchiveLinks } from './archive-links.js';

export interface S3Options {
  bucket: string;
  /** Unset: AWS itself. */
  endpoint?: string | undefined;
  region: string;
  /** Unset: the SDK looks for them itself (instance role, profile…). */
  credentials?: { accessKeyId: string; secretAccessKey: string } | undefined;
}

export function createS3ArchiveLinks({
  bucket,
  endpoint,
  region,
  credentials,
}: S3Options): ArchiveLinks & { close(): void } {
  const client = new S3Client({
    ...(endpoint === undefined ? {} : { endpoint, forcePathStyle: true }),
    ...(credentials === undefined ? {} : { credentials }),
    region,
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    maxAttempts: 2,
    requestHandler: { connectionTimeout: 2_000, requestTimeout: 5_000 },
  });
  return {
    async readText(key) {
      try {
        const { Body } = await client.send(new GetObjectCommand({ Bucket: bucket, Key: key }));
        return await Body?.transformToString();
      } catch (error) {
        if (isNotFound(error)) return undefined;
        throw new ArchiveStoreError(`cannot read ${key}`, { cause: error });
      }
    },
    async has({ key, size }) {
      try {
        const { ContentLength } = await client.send(new HeadObjectCommand({ Bucket: bucket, Key: key }));
        return ContentLength === size;
      } catch (error) {
        if (isNotFound(error)) return false;
        throw new ArchiveStoreError(`cannot look at ${key}`, { cause: error });
      }
    },
    sign({ key, filename }) {
      const command = new GetObjectCommand({
        Bucket: bucket,
        Key: key,
        ResponseContentDisposition: `attachment; filename="${filename}"`,
        ResponseContentType: mediaTypeOf(filename),
      });
      return getSignedUrl(client, command, { expiresIn: LINK_LIFETIME });
    },
    close: () => client.destroy(),
  };
}

function isNotFound(error: unknown): boolean {
  return error instanceof S3ServiceException && error.$metadata.httpStatusCode === 404;
}
