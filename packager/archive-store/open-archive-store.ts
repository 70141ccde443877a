import type { ArchiveStoreConfig } from '../config.js';
import type { ArchiveStore } from './archive-store.js';
import { openFolderArchiveStore } from './folder-archive-store.js';
import { openS3ArchiveStore } from './s3-archive-store.js';

/** The store that the configuration names. */
export function openArchiveStore(config: ArchiveStoreConfig): ArchiveStore {
  switch (config.type) {
    case 's3':
      return openS3ArchiveStore(config);
    case 'folder':
      return openFolderArchiveStore(config.folder);
  }
}
