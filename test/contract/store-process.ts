/**
 * Asks a store in a process of its own, whose clock may be wrong: for what is not there, to write what is there, and with a wrong
 * secret. Its argument is the configuration of the store as JSON. Prints what came of it, and after how many milliseconds.
 */
import { randomBytes } from 'node:crypto';
import { openS3ArchiveStore } from '../../packager/archive-store/s3-archive-store.js';

type Config = Parameters<typeof openS3ArchiveStore>[0];

const config = JSON.parse(process.argv[2] ?? '{}') as Config;
const store = openS3ArchiveStore(config);
const impostor = openS3ArchiveStore({
  ...config,
  credentials: { accessKeyId: config.credentials?.accessKeyId ?? '', secretAccessKey: 'wrong' },
});
const key = `dumps/${randomBytes(6).toString('hex')}/1/manifest.json`;
const text = Buffer.from('{}');
const started = performance.now();
const isThere = (await store.get(key)) !== undefined || (await store.sizeOf(key)) !== undefined;
const wrote = [await store.putIfAbsent(key, text, 'text/plain'), await store.putIfAbsent(key, text, 'text/plain')];
const refused = await impostor.get(key).then(
  () => 'nothing',
  (error: unknown) => String(error),
);
const ms = Math.round(performance.now() - started);
process.stdout.write(JSON.stringify({ isThere, wrote, refused, ms }));
await store.close();
await impostor.close();
