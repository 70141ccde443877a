/** One S3 multipart upload: a few parts in flight, each confirmed by the store, and nothing left behind where it fails. */
import { createHash } from 'node:crypto';
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  ListMultipartUploadsCommand,
  ListPartsCommand,
  UploadPartCommand,
  type CompletedPart,
  type ListPartsCommandOutput,
  type MultipartUpload as ListedUpload,
  type S3Client,
} from '@aws-sdk/client-s3';
import pRetry from 'p-retry';
import { StoreUnavailableError } from './archive-store.js';
import { MAX_PARTS } from './parts.js';
import { isMissing, isPayloadMismatch } from './s3-errors.js';
import { signedDigests } from './s3-signed-payloads.js';

const MIB = 1024 * 1024;
/** Parts in memory: on their way, or to be hashed or filled. The next is filled when one of them has arrived. */
const PARTS_HELD = 3;
/** Bytes of parts on their way; one larger part goes alone. */
const BYTES_IN_FLIGHT = 32 * MIB;
/** Times that a part is sent again whose bytes changed on their way. */
const MISMATCH_RETRIES = 3;
const ABORT_TRIES = 5;

export interface UploadTarget {
  client: S3Client;
  bucket: string;
  key: string;
  mediaType: string;
}

export interface UploadOptions {
  signal?: AbortSignal | undefined;
  /** Told about every part that the store has taken, in bytes. */
  onBytes?: ((bytes: number) => void) | undefined;
  /** Nobody reads that part any more. */
  onSent: (part: Buffer) => void;
}

export interface MultipartUpload {
  /**
   * Sends one part as soon as its digest is known; resolves when there is room for the next.
   * @param sha256 of the part, 64 hexadecimal digits
   */
  add(part: Buffer, number: number, sha256: Promise<string>): Promise<void>;
  /** Rejects where the store did not put together what was sent. */
  complete(): Promise<void>;
  /** Waits for the parts in flight, aborts, and makes sure that the upload is gone. */
  abort(): Promise<void>;
}

export async function startMultipartUpload(
  { client, bucket, key, mediaType }: UploadTarget,
  { signal, onBytes, onSent }: UploadOptions,
): Promise<MultipartUpload> {
  const created = await client.send(
    new CreateMultipartUploadCommand({ Bucket: bucket, Key: key, ContentType: mediaType }),
    signal ? { abortSignal: signal } : {},
  );
  const upload = { Bucket: bucket, Key: key, UploadId: created.UploadId };
  const finished: CompletedPart[] = [];
  const inFlight = new Map<Promise<void>, number>();
  let failure: { error: unknown } | undefined;

  const send = async (part: Buffer, number: number, sha256: Promise<string>): Promise<void> => {
    const command = new UploadPartCommand({ ...upload, PartNumber: number, Body: part, ContentLength: part.length });
    try {
      signedDigests.set(part, await sha256);
      const { ETag } = await pRetry(() => client.send(command, signal ? { abortSignal: signal } : {}), {
        retries: MISMATCH_RETRIES,
        minTimeout: 0,
        // All else was tried again by the SDK.
        shouldRetry: ({ error }) => isPayloadMismatch(error),
      });
      finished.push({ PartNumber: number, ETag });
      onBytes?.(part.length);
      onSent(part);
    } catch (error) {
      failure ??= { error };
    }
  };
  const throwFailure = (): void => {
    if (failure !== undefined) throw failure.error;
  };

  return {
    async add(part, number, sha256) {
      if (number > MAX_PARTS) throw new RangeError(`the archive needs more than ${MAX_PARTS} parts`);
      throwFailure();
      signal?.throwIfAborted();
      const sending = send(part, number, sha256).then(() => {
        inFlight.delete(sending);
      });
      inFlight.set(sending, part.length);
      // The next part is gathered only when there is room for it, so that no more memory is held than this.
      while (inFlight.size >= PARTS_HELD || (inFlight.size > 1 && sum(inFlight.values()) > BYTES_IN_FLIGHT)) {
        await Promise.race(inFlight.keys());
      }
    },

    async complete() {
      await Promise.all(inFlight.keys());
      throwFailure();
      finished.sort((a, b) => (a.PartNumber ?? 0) - (b.PartNumber ?? 0));
      const { ETag } = await client.send(
        new CompleteMultipartUploadCommand({ ...upload, MultipartUpload: { Parts: finished } }),
        signal ? { abortSignal: signal } : {},
      );
      const expected = tagOf(finished);
      if (expected !== undefined && isComposite(ETag) && unquoted(ETag) !== expected) {
        throw new StoreUnavailableError(`the archive store put other parts together than were sent for ${key}`);
      }
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

/**
 * Aborts the unfinished uploads of the keys that start with a prefix; resolves with how many there were.
 * @param olderThan leaves alone those that were started, or got a part, since then
 */
export async function abortUploads(
  client: S3Client,
  bucket: string,
  prefix: string,
  olderThan?: Date,
): Promise<number> {
  // Listed to the end first: aborting while paging could skip some.
  const found: ListedUpload[] = [];
  for await (const upload of listUploads(client, bucket, prefix)) found.push(upload);
  let aborted = 0;
  for (const { Key, UploadId, Initiated } of found) {
    if (Key === undefined) continue;
    const upload = { Bucket: bucket, Key, UploadId };
    if (olderThan !== undefined && (await lastTouched(client, upload, Initiated)) >= olderThan) continue;
    await abortUpload(client, upload);
    aborted += 1;
  }
  return aborted;
}

/** When the last of its parts arrived, or it was started. An upload that is gone was touched just now: by whoever ended it. */
async function lastTouched(
  client: S3Client,
  upload: { Bucket: string; Key: string; UploadId: string | undefined },
  started = new Date(),
): Promise<Date> {
  let last = started;
  let marker: string | undefined;
  try {
    do {
      const page: ListPartsCommandOutput = await client.send(
        new ListPartsCommand({ ...upload, ...(marker === undefined ? {} : { PartNumberMarker: marker }) }),
      );
      for (const { LastModified } of page.Parts ?? []) if (LastModified && LastModified > last) last = LastModified;
      marker = page.IsTruncated === true ? page.NextPartNumberMarker : undefined;
    } while (marker !== undefined);
    return last;
  } catch (error) {
    if (isMissing(error)) return new Date();
    throw error;
  }
}

function sum(numbers: Iterable<number>): number {
  let total = 0;
  for (const number of numbers) total += number;
  return total;
}

/**
 * The tag of an object made of parts: the MD5 of the parts' MD5s, and their number. Undefined where the tags of the parts
 * are no MD5s, as where the store encrypts.
 */
function tagOf(parts: readonly CompletedPart[]): string | undefined {
  const hash = createHash('md5');
  for (const { ETag } of parts) {
    if (!/^[0-9a-f]{32}$/.test(unquoted(ETag))) return undefined;
    hash.update(unquoted(ETag), 'hex');
  }
  return `${hash.digest('hex')}-${parts.length}`;
}

const isComposite = (tag: string | undefined): boolean => /^[0-9a-f]{32}-\d+$/.test(unquoted(tag));
const unquoted = (tag: string | undefined): string => (tag ?? '').replaceAll('"', '');
