/** The upload alone, beside other clients of the same S3 server. */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { Agent, request } from 'node:http';
import { promisify } from 'node:util';
import {
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  PutObjectCommand,
  S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import { openS3ArchiveStore } from '../../packager/archive-store/s3-archive-store.js';
import type { Service } from '../acceptance/service.js';
import { interleave, type Ratios } from './measure.js';
import { uploadWithBoto3 } from './predecessor/run-predecessor.js';

const SIZE = 160 * 1024 * 1024;
const PIECE = 512 * 1024;
/** Of the clients that sign nothing but a link: parts, and how many of them are on their way. */
const PART = 16 * 1024 * 1024;
const AT_ONCE = 4;

const run = promisify(execFile);

export async function measureUpload(service: Service, rounds: number, ratios: Ratios): Promise<void> {
  const { S3_ENDPOINT = '', S3_BUCKET = '', AWS_REGION = '', ...env } = service.stores.env;
  const credentials = {
    accessKeyId: env['AWS_ACCESS_KEY_ID'] ?? '',
    secretAccessKey: env['AWS_SECRET_ACCESS_KEY'] ?? '',
  };
  const client = new S3Client({ endpoint: S3_ENDPOINT, region: AWS_REGION, forcePathStyle: true, credentials });
  const store = openS3ArchiveStore({ bucket: S3_BUCKET, endpoint: S3_ENDPOINT, region: AWS_REGION, credentials });
  const target = { Bucket: S3_BUCKET, Key: 'upload.zip' };
  const content = randomBytes(SIZE);
  const file = service.file('upload.zip');
  await writeFile(file, content);
  const agent = new Agent({ keepAlive: true, noDelay: true });

  const clients: Record<string, () => Promise<unknown>> = {
    ours: () => store.write(target.Key, piecesOf(content), { mediaType: 'application/zip', size: SIZE }),
    // The least that an upload can be: links signed before, nothing hashed, parts straight from memory.
    links: () => uploadByLinks(client, agent, target, content),
    curl: async () => {
      const link = await getSignedUrl(client, new PutObjectCommand(target));
      await run('curl', ['--silent', '--fail', '--upload-file', file, link]);
    },
    boto3: () => uploadWithBoto3({ ...env, S3_ENDPOINT, S3_BUCKET, AWS_DEFAULT_REGION: AWS_REGION, FILE: file }),
  };
  const timed = Object.entries(clients).map(([name, upload]) => {
    const operation = async (): Promise<unknown> => {
      const started = performance.now();
      const answered = await upload();
      const took = performance.now() - started;
      await client.send(new DeleteObjectCommand(target));
      return typeof answered === 'number' ? answered : took;
    };
    return [name, operation] as const;
  });
  try {
    const figures = await interleave(Object.fromEntries(timed), { rounds, warmUp: 1 });
    for (const [name, { p50 }] of Object.entries(figures)) {
      process.stdout.write(`upload: ${name.padEnd(6)} ${(SIZE / 1e3 / p50).toFixed(0)} MB/s\n`);
    }
    const { ours, ...others } = figures;
    const fastest = Math.min(...Object.values(others).map(({ p50 }) => p50));
    ratios.add('upload_to_fastest', 'upload: speed / the fastest other client', fastest / (ours?.p50 ?? NaN), {
      least: 0.9,
    });
    // Boto3 is the other one that signs what it sends.
    ratios.add('upload_to_signed', 'upload: speed / boto3', (others['boto3']?.p50 ?? NaN) / (ours?.p50 ?? NaN));
  } finally {
    agent.destroy();
    client.destroy();
    await store.close();
  }
}

// eslint-disable-next-line @typescript-eslint/require-await -- a stream of what is there already
async function* piecesOf(content: Buffer): AsyncGenerator<Buffer> {
  for (let start = 0; start < content.length; start += PIECE) yield content.subarray(start, start + PIECE);
}

async function uploadByLinks(
  client: S3Client,
  agent: Agent,
  target: { Bucket: string; Key: string },
  content: Buffer,
): Promise<void> {
  const { UploadId } = await client.send(new CreateMultipartUploadCommand(target));
  const numbers = Array.from({ length: Math.ceil(content.length / PART) }, (_, index) => index + 1);
  const Parts: { PartNumber: number; ETag: string }[] = [];
  const lane = async (): Promise<void> => {
    for (let PartNumber = numbers.shift(); PartNumber !== undefined; PartNumber = numbers.shift()) {
      const link = await getSignedUrl(client, new UploadPartCommand({ ...target, UploadId, PartNumber }));
      const part = content.subarray((PartNumber - 1) * PART, PartNumber * PART);
      Parts.push({ PartNumber, ETag: await put(link, agent, part) });
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, lane));
  Parts.sort((one, other) => one.PartNumber - other.PartNumber);
  await client.send(new CompleteMultipartUploadCommand({ ...target, UploadId, MultipartUpload: { Parts } }));
}

/** @returns the ETag */
async function put(link: string, agent: Agent, content: Buffer): Promise<string> {
  const asked = request(link, { agent, method: 'PUT', headers: { 'Content-Length': content.length } });
  asked.end(content);
  const [response] = (await once(asked, 'response')) as [import('node:http').IncomingMessage];
  response.resume();
  await once(response, 'end');
  if (response.statusCode !== 200) throw new Error(`an upload was answered ${response.statusCode}`);
  return response.headers.etag ?? '';
}
