/** One S3 multipart upload: parts of growing size, a few in flight, and nothing left behind where it fails. */
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  ListMultipartUploadsCommand,
  ListPartsCommand,
  UploadPartCommand,
  type CompletedPart,
  type MultipartUpload as ListedUpload,
  type S3Client,
} from '@aws-sdk/client-s3';
import { isMissing } from './s3-errors.js';

const MIB = 1024 * 1024;
const FIRST_PART = 8 * MIB;
const MAX_PARTS = 10_000;
const PARTS_IN_FLIGHT = 3;
/** Bytes of parts on their way; one larger part goes alone. */
const BYTES_IN_FLIGHT = 192 * MIB;
const ABORT_TRIES = 5;

/**
 * Size of the nth part, from 1. S3 takes 10,000 parts; with each thousand 1.9 times the size of the one before, they
 * hold 5 TB, while archives up to 8 GiB are sent in parts of 8 MiB.
 */
export function partSize(number: number): number {
  return (FIRST_PART * Math.floor(1.9 ** Math.floor((number - 1) / 1000) * 8)) / 8;
}

export interface UploadTarget {
  client: S3Client;
  bucket: string;
  key: string;
  mediaType: string;
}

export interface MultipartUpload {
  /** Sends one part; resolves when there is room for the next, not when it arrived. */
  add(part: Buffer, number: number): Promise<void>;
  complete(): Promise<void>;
  /** Waits for the parts in flight, aborts, and makes sure that the upload is gone. */
  abort(): Promise<void>;
}

export async function startMultipartUpload(
  { client, bucket, key, mediaType }: UploadTarget,
  { signal, onBytes }: { signal?: AbortSignal | undefined; onBytes?: ((bytes: number) => void) | undefined },
): Promise<MultipartUpload> {
  const created = await client.send(
    new CreateMultipartUploadCommand({ Bucket: bucket, Key: key, ContentType: mediaType }),
    signal ? { abortSignal: signal } : {},
  );
  const upload = { Bucket: bucket, Key: key, UploadId: created.UploadId };
  const finished: CompletedPart[] = [];
  const inFlight = new Map<Promise<void>, number>();
  let failure: { error: unknown } | undefined;

  const send = async (part: Buffer, number: number): Promise<void> => {
    const command = new UploadPartCommand({ ...upload, PartNumber: number, Body: part, ContentLength: part.length });
    try {
      const { ETag } = await client.send(command, signal ? { abortSignal: signal } : {});
      finished.push({ PartNumber: number, ETag });
      onBytes?.(part.length);
    } catch (error) {
      failure ??= { error };
    }
  };
  const throwFailure = (): void => {
    if (failure !== undefined) throw failure.error;
  };

  return {
    async add(part, number) {
      if (number > MAX_PARTS) throw new RangeError(`the archive needs more than ${MAX_PARTS} parts`);
      while (
        inFlight.size >= PARTS_IN_FLIGHT ||
        (inFlight.size > 0 && sum(inFlight.values()) + part.length > BYTES_IN_FLIGHT)
      ) {
        await Promise.race(inFlight.keys());
      }
      throwFailure();
      signal?.throwIfAborted();
      const sending = send(part, number).then(() => {
        inFlight.delete(sending);
      });
      inFlight.set(sending, part.length);
    },

    async complete() {
      await Promise.all(inFlight.keys());
      throwFailure();
      finished.sort((a, b) => (a.PartNumber ?? 0) - (b.PartNumber ?? 0));
      await client.send(
        new CompleteMultipartUploadCommand({ ...upload, MultipartUpload: { Parts: finished } }),
        signal ? { abortSignal: signal } : {},
      );
    },

    async abort() {
      // A part that arrives after the abort may be kept, and paid for.
      await Promise.all(inFlight.keys());
      await abortUpload(client, upload);
    },
  };
}

/**
 * Aborts an upload and lists its parts to prove it: "if part uploads are in progress, it might be necessary to abort a
 * given multipart upload multiple times" (S3 API, AbortMultipartUpload).
 */
async function abortUpload(
  client: S3Client,
  upload: { Bucket: string; Key: string; UploadId: string | undefined },
): Promise<void> {
  for (let tries = 0; tries < ABORT_TRIES; tries++) {
    try {
      await client.send(new AbortMultipartUploadCommand(upload));
      await client.send(new ListPartsCommand(upload));
    } catch (error) {
      if (isMissing(error)) return;
      throw error;
    }
  }
  throw new Error(`the upload of ${upload.Key} is still there after ${ABORT_TRIES} aborts`);
}

/** Unfinished uploads of the keys that start with a prefix. */
export async function* listUploads(client: S3Client, bucket: string, prefix: string): AsyncGenerator<ListedUpload> {
  let marker: { KeyMarker?: string | undefined; UploadIdMarker?: string | undefined } | undefined = {};
  while (marker !== undefined) {
    const command: ListMultipartUploadsCommand = new ListMultipartUploadsCommand({
      Bucket: bucket,
      Prefix: prefix,
      ...marker,
    });
    const page = await client.send(command);
    yield* page.Uploads ?? [];
    marker =
      page.IsTruncated === true
        ? { KeyMarker: page.NextKeyMarker, UploadIdMarker: page.NextUploadIdMarker }
        : undefined;
  }
}

/** Aborts the unfinished uploads of the keys that start with a prefix; resolves with how many there were. */
export async function abortUploads(client: S3Client, bucket: string, prefix: string): Promise<number> {
  // Listed to the end first: aborting while paging could skip some.
  const found: ListedUpload[] = [];
  for await (const upload of listUploads(client, bucket, prefix)) found.push(upload);
  for (const { Key, UploadId } of found) {
    if (Key !== undefined) await abortUpload(client, { Bucket: bucket, Key, UploadId });
  }
  return found.length;
}

function sum(numbers: Iterable<number>): number {
  let total = 0;
  for (const number of numbers) total += number;
  return total;
}
