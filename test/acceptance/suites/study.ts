/** The whole path, as a miner goes it. */
import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { beforeAll, afterAll, describe, expect, test } from '@jest/globals';
import { createMinerClient } from '../../../cli/miner/miner-client.js';
import { saveArchive } from '../../../cli/miner/save-archive.js';
import { verifyBag } from '../../../cli/miner/verify-bag.js';
import { ingestSample } from '../../../cli/sample/ingest-sample.js';
import { waitUntil } from '../../servers/wait-until.js';
import { makeKey, makeMiner, makeService, type Miner, type Service } from '../service.js';
import type { Stage } from '../stage.js';

interface Problem {
  type: string;
  detail: string;
}

export function study(stage: () => Stage, name: Stage['name']): void {
  describe('a study', () => {
    let service: Service;
    let url: string;
    let key: string;
    let miner: Miner;

    beforeAll(async () => {
      service = await makeService(stage());
      ({ url } = await service.apiServer());
      await service.packager();
      await ingestSample({ url, key: await makeKey(service, 'admin') });
      key = await makeKey(service);
      miner = makeMiner(url, key);
    });
    afterAll(() => service.close());

    const century = { bool: { filter: [{ range: { year: { gte: 1900, lt: 1950 } } }] } };

    test('goes from a query to a bag in which every checksum is right', async () => {
      const client = createMinerClient(url, key);
      const docset = await client.createDocset({ name: 'study', collection: 'sotu', query: century });
      const asked = await client.requestDump(docset.id, { formats: ['meta', 'txt'] });
      const seen: number[] = [];
      const status = await client.awaitDump(asked, ({ progress }) => seen.push(progress));
      expect(status).toMatchObject({ status: 'successful', done: true, stale: false, progress: 100, error: null });
      const { requested, packed, omitted } = status.counts;
      expect({ packed, omitted }).toEqual({ packed: requested, omitted: 0 });
      expect(seen).toEqual([...seen].sort((a, b) => a - b));
      const { bag } = await saveArchive(client, status, service.file('study.zip'));
      expect(bag?.payload).toEqual({ json: requested, txt: requested });
      expect(bag?.info).toContain('Licence: CC0-1.0');
    });

    test('downloads the archive in pieces that fit together', async () => {
      const docset = await miner.docset('sotu', { term: { year: 1863 } });
      const asked = await miner.post(`${docset}/dump?fmt=txt`);
      expect(asked.status).toBe(202);
      const status = await miner.pollToEnd(String(asked.headers.get('location')));
      const link = await miner.get(String(status.archive?.href));
      expect(link.status).toBe(303);
      const location = String(link.headers.get('location'));
      const head = await fetch(location, { headers: { Range: 'bytes=0-99' } });
      expect(head.status).toBe(206);
      const etag = String(head.headers.get('etag'));
      expect(etag).not.toMatch(/^W\//);
      const first = Buffer.from(await head.arrayBuffer());
      // The link may have gone stale in the meantime: a fresh one, and the rest, only if it is still the same archive.
      const fresh = String((await miner.get(String(status.archive?.href))).headers.get('location'));
      const tail = await fetch(fresh, { headers: { Range: 'bytes=100-', 'If-Range': etag } });
      expect(tail.status).toBe(206);
      const whole = Buffer.concat([first, Buffer.from(await tail.arrayBuffer())]);
      expect(whole.length).toBe(status.archive?.size);
      expect(createHash('sha256').update(whole).digest('hex')).toBe(status.archive?.sha256);
      const file = service.file('pieces.zip');
      await writeFile(file, whole);
      expect((await verifyBag(file)).payload).toEqual({ txt: status.counts.requested });
    });

    test('tells a page where the archive is, and how to cite it', async () => {
      const docset = await miner.docset('sotu', { term: { year: 1864 } });
      const asked = await miner.post(`${docset}/dump?fmt=meta,txt`);
      const early = await miner.get<Problem>(`${docset}/citation?dump=${asked.body.id}`);
      expect(early).toMatchObject({ status: 404, body: { type: '/problems/result-not-ready' } });
      const status = await miner.pollToEnd(String(asked.headers.get('location')));
      const { archive } = status;
      const link = await miner.get<{ href: string; filename: string }>(`${docset}/dump/archive/link?fmt=meta,txt`);
      expect(link).toMatchObject({
        status: 200,
        body: {
          size: archive?.size,
          sha256: archive?.sha256,
          filename: `docset-${String(status.docset.split('/').at(-1))}-meta-txt.zip`,
        },
      });
      expect(link.body.href).not.toContain(key);
      const got = await fetch(link.body.href);
      expect(got.headers.get('content-disposition')).toContain(`attachment; filename="${link.body.filename}"`);
      const bytes = Buffer.from(await got.arrayBuffer());
      expect(createHash('sha256').update(bytes).digest('hex')).toBe(archive?.sha256);
      const response = await fetch(`${url}${docset}/citation?dump=${status.id}`, { headers: { 'X-API-Key': key } });
      const citation = await response.text();
      expect(citation).toContain(`Dump ${status.id} in meta, txt as zip`);
      expect(citation).toContain(`SHA-256 ${String(archive?.sha256)}`);
    });

    test('asks twice and gets one dump, asks with force and gets another with the same bytes', async () => {
      const docset = await miner.docset('sotu', { term: { year: 1901 } });
      const first = await miner.post(`${docset}/dump?fmt=txt,meta`);
      const again = await miner.post(`${docset}/dump?fmts=meta,txt`);
      expect(again.body.id).toBe(first.body.id);
      const done = await miner.pollToEnd(`${docset}/dump`);
      const later = await miner.post(`${docset}/dump?fmt=meta,txt`);
      expect(later).toMatchObject({ status: 200, body: { id: first.body.id, status: 'successful' } });
      const forced = await miner.post(`${docset}/dump?fmt=meta,txt&force=true`, undefined, { Prefer: 'wait=30' });
      expect(forced).toMatchObject({ status: 200, body: { status: 'successful' } });
      expect(forced.body.id).not.toBe(first.body.id);
      expect(forced.body.archive?.sha256).toBe(done.archive?.sha256);
    });

    test('keeps dumps of other formats apart', async () => {
      const docset = await miner.docset('sotu', { term: { year: 1902 } });
      const meta = await miner.post(`${docset}/dump?fmt=meta`);
      const txt = await miner.post(`${docset}/dump?fmt=txt`);
      expect(meta.body.id).not.toBe(txt.body.id);
      expect((await miner.pollToEnd(`${docset}/dump?fmt=meta`)).id).toBe(meta.body.id);
      expect((await miner.pollToEnd(`${docset}/dump?fmt=txt`)).id).toBe(txt.body.id);
      const { body } = await miner.get<{ dumps: { id: string }[] }>('/api/dumps');
      expect(body.dumps.slice(0, 2).map(({ id }) => id)).toEqual([txt.body.id, meta.body.id]);
    });

    test('frees the archive when it is deleted, and can be asked for again', async () => {
      const docset = await miner.docset('sotu', { term: { year: 1903 } });
      const asked = await miner.post(`${docset}/dump?fmt=txt`);
      await miner.pollToEnd(`${docset}/dump`);
      const prefix = `dumps/${asked.body.id}/`;
      expect(await service.stores.keys(prefix)).toHaveLength(2);
      expect(await miner.delete(`${docset}/dump`)).toMatchObject({ status: 200, body: { status: 'expired' } });
      await waitUntil('its storage is freed', async () => (await service.stores.keys(prefix)).length === 0);
      const gone = await miner.get<Problem>(`${docset}/dump/archive`);
      expect(gone).toMatchObject({ status: 410, body: { type: '/problems/archive-expired' } });
      const next = await miner.post(`${docset}/dump?fmt=txt`);
      expect(next.status).toBe(202);
      expect(next.body.id).not.toBe(asked.body.id);
      await miner.pollToEnd(`${docset}/dump`);
    });

    test('ends the dumps of a docset with the docset', async () => {
      const docset = await miner.docset('sotu', { term: { year: 1904 } });
      const asked = await miner.post(`${docset}/dump?fmt=txt`);
      await miner.pollToEnd(`${docset}/dump`);
      expect((await miner.delete(docset)).status).toBe(200);
      expect(await miner.get<Problem>(`${docset}/dump`)).toMatchObject({ status: 404 });
      const prefix = `dumps/${asked.body.id}/`;
      await waitUntil('its storage is freed', async () => (await service.stores.keys(prefix)).length === 0);
    });

    test('starts nothing with a GET, and says how to ask', async () => {
      const docset = await miner.docset('sotu', { term: { year: 1905 } });
      const poll = await miner.get<Problem>(`${docset}/dump?fmt=txt`);
      expect(poll).toMatchObject({ status: 404, body: { type: '/problems/dump-not-requested' } });
      expect(poll.body.detail).toContain(`POST ${docset}/dump?fmt=txt`);
    });

    test.each([
      ['an unknown format', '/dump?fmt=txt,docx', 400, 'format-unknown'],
      ['an unknown parameter', '/dump?fmt=txt&colour=red', 400, 'request-invalid'],
      ['a force that is not true or false', '/dump?force=perhaps', 400, 'request-invalid'],
    ])('is refused a dump with %s, and nothing is started', async (_what, path, status, slug) => {
      const docset = await miner.docset('sotu', { term: { year: 1906 } });
      const answer = await miner.post<Problem>(`${docset}${path}`);
      expect(answer).toMatchObject({ status, body: { type: `/problems/${slug}` } });
      expect((await miner.get<Problem>(`${docset}/dump`)).body.type).toBe('/problems/dump-not-requested');
    });

    test('of one miner is closed to another', async () => {
      const docset = await miner.docset('sotu', { term: { year: 1907 } });
      await miner.post(`${docset}/dump?fmt=txt`);
      const stranger = makeMiner(url, await makeKey(service));
      for (const answer of [
        await stranger.post<Problem>(`${docset}/dump`),
        await stranger.get<Problem>(`${docset}/dump`),
        await stranger.get<Problem>(`${docset}/dump/archive`),
        await stranger.delete<Problem>(`${docset}/dump`),
      ]) {
        expect(answer).toMatchObject({ status: 403, body: { type: '/problems/not-your-docset' } });
      }
      expect((await makeMiner(url, 'adit_wrong').get<Problem>(`${docset}/dump`)).status).toBe(401);
      expect((await miner.pollToEnd(`${docset}/dump`)).status).toBe('successful');
    });

    // On the real stage links are S3's own.
    const onFolder = name === 'embedded' ? test : undefined;
    onFolder?.('is not fooled by a link to an archive that was tampered with', async () => {
      const docset = await miner.docset('sotu', { term: { year: 1908 } });
      await miner.post(`${docset}/dump?fmt=txt`);
      const status = await miner.pollToEnd(`${docset}/dump`);
      const location = String((await miner.get(String(status.archive?.href))).headers.get('location'));
      for (const change of [
        (link: URL) => link.searchParams.set('key', '../secrets.json'),
        (link: URL) => link.searchParams.set('expires', '99999999999'),
        (link: URL) => link.searchParams.delete('signature'),
      ]) {
        const link = new URL(location);
        change(link);
        expect((await fetch(link)).status).toBe(410);
      }
    });
  });
}
