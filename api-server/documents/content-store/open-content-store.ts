import { join } from 'node:path';
import type { ApiServerConfig } from '../../config.js';
import type { ContentStore } from './content-store.js';
import { openFolderContentStore } from './folder-content-store.js';
import { openS3ContentStore } from './s3-content-store.js';

/** The store that the configuration names: the bucket of the archives, or `DATA_DIR/content`. */
export function openContentStore({ s3, dataDir }: Pick<ApiServerConfig, 's3' | 'dataDir'>): ContentStore {
  return s3 === undefined ? openFolderContentStore(join(dataDir, 'content')) : openS3ContentStore(s3);
}
