import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe } from '@jest/globals';
import { openFolderArchiveStore } from '../../packager/archive-store/folder-archive-store.js';
import { archiveStoreSuite } from './archive-store-suite.js';

describe('archives in a folder', () => {
  let folder = '';
  archiveStoreSuite(async () => {
    folder = await mkdtemp(join(tmpdir(), 'adit-archives-'));
    return openFolderArchiveStore(join(folder, 'archives'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));
});
