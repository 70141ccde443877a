/** `adit/client`: what the `adit` command does for miners, as a library. */
export * from './errors.js';
export * from './miner-client.js';
export { saveArchive, type SaveArchiveOptions, type SavedArchive } from './save-archive.js';
export { saveDump, type ArchiveWish, type SaveDumpOptions, type SavedDump } from './save-dump.js';
export { verifyBag, type BagReport } from './verify-bag.js';
export type { components, operations, paths } from '../../api-server/http/openapi-types.js';
