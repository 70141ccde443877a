import { mkdtemp, mkdir, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import { ContentUnavailableError } from '../../api-server/documents/content-store/content-store.js';
import { openFolderContentStore } from '../../api-server/documents/content-store/folder-content-store.js';
import { contentStoreSuite } from './content-store-suite.js';

describe('content in a folder', () => {
  let folder = '';
  contentStoreSuite(async () => {
    folder = await mkdtemp(join(tmpdir(), 'adit-content-'));
    return openFolderContentStore(join(folder, 'content'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  test('has no links: whoever serves it has to read it', async () => {
    const store = openFolderContentStore(join(folder, 'content'));
    expect(await store.sign('segments/c/a', 60)).toBeUndefined();
    expect(store.bucket).toBeUndefined();
  });

  test('a write that fails leaves nothing, and says that the store did it', async () => {
    const store = openFolderContentStore(join(folder, 'taken'));
    await mkdir(join(folder, 'taken/segments/c/a'), { recursive: true });
    await writeFile(join(folder, 'taken/segments/c/a/b'), '');
    await expect(store.write('segments/c/a', [Buffer.from('x')])).rejects.toThrow(ContentUnavailableError);
    expect(await readdir(join(folder, 'taken/segments/c'))).toEqual(['a']);
  });

  test('what a killed process left is no object, and is swept when it is old enough', async () => {
    const store = openFolderContentStore(join(folder, 'killed'));
    await store.write('segments/c/a', [Buffer.from('x')]);
    const left = join(folder, 'killed/segments/c/.b.0123456789abcdef');
    await writeFile(left, 'half');
    const keys: string[] = [];
    for await (const { key } of store.list('segments/')) keys.push(key);
    expect(keys).toEqual(['segments/c/a']);
    const hourAgo = new Date(Date.now() - 3_600_000);
    expect(await store.sweepUnfinished('segments/', hourAgo)).toBe(0);
    await utimes(left, 1, 1);
    expect(await store.sweepUnfinished('segments/', hourAgo)).toBe(1);
    expect(await readdir(join(folder, 'killed/segments/c'))).toEqual(['a']);
  });
});
