/** Never silently incomplete: what could not be packed is named, everywhere. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { text } from 'node:stream/consumers';
import { openPromise } from 'yauzl';
import { readStorageConfig } from '../../../api-server/config.js';
import { openContentStore } from '../../../api-server/documents/content-store/open-content-store.js';
import { createMinerClient } from '../../../cli/miner/miner-client.js';
import { saveArchive } from '../../../cli/miner/save-archive.js';
import { ingest, makeKey, makeMiner, makeService, someDocuments, withDatabase, type Service } from '../service.js';
import type { Stage } from '../stage.js';

export function contents(stage: () => Stage): void {
  describe('an archive', () => {
    let service: Service;
    beforeAll(async () => {
      service = await makeService(stage());
    });
    afterAll(() => service.close());

    test('names every document that lacks a format or whose bytes are not what they were', async () => {
      const { url } = await service.apiServer();
      await service.packager();
      const documents = someDocuments(6);
      const pdf = { base64: Buffer.from('%PDF-1.4 a small one').toString('base64'), media_type: 'application/pdf' };
      for (const document of documents.slice(0, 4)) document.files['pdf'] = pdf;
      await ingest(url, await makeKey(service, 'admin'), 'mixed', documents);
      await corrupt(service, 'doc-000001', 'txt');
      const key = await makeKey(service);
      const miner = makeMiner(url, key);
      const docset = await miner.docset('mixed');
      await miner.post(`${docset}/dump?fmt=txt,pdf`);
      const done = await miner.pollToEnd(`${docset}/dump`);
      expect(done).toMatchObject({ status: 'successful', counts: { requested: 6, packed: 3, omitted: 3 } });
      const file = service.file('mixed.zip');
      const { bag } = await saveArchive(createMinerClient(url, key), done, file);
      expect(bag?.payload).toEqual({ txt: 5, pdf: 4 });
      const omitted = (await readEntry(file, 'omitted.csv')).trim().split(/\r?\n/);
      expect(omitted[0]).toBe('ref,format,reason');
      expect(omitted.slice(1).sort()).toEqual([
        'doc-000001,txt,corrupt',
        'doc-000004,pdf,missing',
        'doc-000005,pdf,missing',
      ]);
    });
  });
}

/** Flips a bit of what is stored of a file, in its segment, behind everybody's back. */
async function corrupt(service: Service, ref: string, format: string): Promise<void> {
  const { key, offset, size } = await withDatabase(service, (knex) =>
    knex('files as f')
      .join('documents as d', 'd.id', 'f.document_id')
      .join('segments as s', 's.id', 'f.segment_id')
      .where({ 'd.ref': ref, 'f.format': format })
      .first<{ key: string; offset: string; size: string }>('s.key', 'f.offset', 's.size'),
  );
  const store = openContentStore(readStorageConfig(service.stores.env));
  const pieces: Buffer[] = [];
  for await (const piece of store.read(key, { start: 0, end: Number(size) })) pieces.push(piece);
  const segment = Buffer.concat(pieces);
  segment.writeUInt8(segment.readUInt8(Number(offset)) ^ 1, Number(offset));
  await store.write(key, [segment]);
  await store.close();
}

async function readEntry(file: string, name: string): Promise<string> {
  const zip = await openPromise(file, { lazyEntries: true, autoClose: false });
  try {
    for await (const entry of zip.eachEntry()) {
      if (entry.fileName.endsWith(`/${name}`)) return await text(await zip.openReadStreamPromise(entry));
    }
    throw new Error(`${file} has no ${name}`);
  } finally {
    zip.close();
  }
}
