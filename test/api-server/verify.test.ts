/** `adit verify`: what is not as it was ingested, and what nobody refers to. */
import { open, readdir, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { verifySegments, type Finding, type Verification } from '../../api-server/documents/verify-segments.js';
import { fill, ndjson, type FreshApiServer } from './fresh-api-server.js';
import { onEachDatabase } from './on-each-database.js';

onEachDatabase(verifyBehaves);

function verifyBehaves(start: () => Promise<FreshApiServer>): void {
  let server: FreshApiServer;
  let content = '';
  beforeAll(async () => {
    server = await start();
    content = join(server.parts.config.dataDir, 'content');
    const documents = Array.from({ length: 120 }, (_, index) => ({
      ref: `r${index}`,
      files: { txt: { text: `text of ${index} `.repeat(index) }, bin: { base64: '' } },
    }));
    await fill(server, 'c', documents);
    await fill(server, 'd', [{ ref: 'other', files: { txt: { text: 'one fish, two fish, one fish, two fish' } } }]);
  });
  afterAll(() => server.stop());

  const verify = async (sweep = false): Promise<{ found: Verification; findings: Finding[] }> => {
    const findings: Finding[] = [];
    const found = await verifySegments(server.parts, { sweep, onFinding: (finding) => findings.push(finding) });
    return { found, findings };
  };
  const hoursAgo = (path: string) => utimes(path, new Date(Date.now() - 7_200_000), new Date(Date.now() - 7_200_000));

  test('what is as it was ingested is counted', async () => {
    const { found, findings } = await verify();
    const total = await server.parts.knex('segments').sum<{ sum: string }[]>({ sum: 'size' });
    expect(findings).toEqual([]);
    expect(found).toEqual({
      segments: 2,
      files: 362,
      bytes: Number(total[0]?.sum),
      corrupt: 0,
      orphans: 0,
      unfinished: 0,
    });
  });

  test('orphans are named when no ingest can be at work on them, and go only when that is asked for', async () => {
    const { knex } = server.parts;
    const folder = join(content, 'segments/c');
    for (const name of ['left-behind', 'at-work', '.cut-off.0123456789abcdef'])
      await writeFile(join(folder, name), 'x');
    await hoursAgo(join(folder, 'left-behind'));
    await hoursAgo(join(folder, '.cut-off.0123456789abcdef'));
    const rows = ['without-object', 'without-files', 'just-begun'].map((name) => ({
      collection_id: 'c',
      key: `segments/c/${name}`,
      size: 1,
      created: name === 'just-begun' ? knex.fn.now() : new Date(Date.now() - 7_200_000),
    }));
    await knex('segments').insert(rows);
    await writeFile(join(folder, 'without-files'), 'x');
    const orphans = ['left-behind', 'without-files', 'without-object'].map((name) => `segments/c/${name}`);

    const named = await verify();
    expect(named.found).toMatchObject({ corrupt: 0, orphans: 3, unfinished: 0 });
    expect(named.findings.map((finding) => finding.type === 'orphan' && finding.key).sort()).toEqual(orphans);

    const swept = await verify(true);
    expect(swept.found).toMatchObject({ corrupt: 0, orphans: 3, unfinished: 1 });
    expect(swept.findings.every((finding) => finding.type === 'orphan' && finding.deleted)).toBe(true);
    expect((await readdir(folder)).sort()).toEqual(['at-work', (await keyOf('c')).split('/').at(-1)].sort());
    expect((await verify()).found).toMatchObject({ segments: 2, corrupt: 0, orphans: 0 });
  });

  test('an ingest whose documents somebody else has written in the meantime leaves no segment behind', async () => {
    const admin = server.as(await server.keyOf('Admin', 'admin'));
    const body = ndjson(Array.from({ length: 300 }, (_, index) => ({ ref: `same${index}` })));
    const send = () =>
      admin.post('/api/collections/d/documents').set('Content-Type', 'application/x-ndjson').send(body).expect(200);
    const reports = (await Promise.all([send(), send(), send()])).map((response) => response.body as Verification);
    const sum = (name: string) => reports.reduce((all, report) => all + report[name as keyof Verification], 0);
    expect([sum('added'), sum('changed'), sum('unchanged')]).toEqual([300, 0, 600]);
    const { found, findings } = await verify();
    expect(findings).toEqual([]);
    const objects = await readdir(join(content, 'segments/d'));
    expect(objects).toHaveLength(found.segments - 1);
  });

  test('a flipped bit is one corrupt file, named by its document and format', async () => {
    const row = await server.parts
      .knex('files as f')
      .join('documents as d', 'd.id', 'f.document_id')
      .where({ 'd.ref': 'r60', 'f.format': 'txt' })
      .first<{ id: string; offset: string }>('d.id', 'f.offset');
    const file = await open(join(content, await keyOf('c')), 'r+');
    const byte = Buffer.alloc(1);
    await file.read(byte, 0, 1, Number(row.offset) + 5);
    byte[0] = (byte[0] ?? 0) ^ 1;
    await file.write(byte, 0, 1, Number(row.offset) + 5);
    await file.close();
    const { found, findings } = await verify();
    expect(found).toMatchObject({ corrupt: 1 });
    expect(findings).toMatchObject([{ type: 'corrupt', document: row.id, ref: 'r60', format: 'txt' }]);
  });

  test('a segment that ends early, or is gone, makes corrupt what lay in the missing part', async () => {
    const path = join(content, await keyOf('c'));
    const file = await open(path, 'r+');
    await file.truncate(10);
    await file.close();
    const { found, findings } = await verify();
    expect(found).toMatchObject({ segments: (await server.parts.knex('segments')).length - 1 });
    expect(findings.length).toBeGreaterThan(230);
    expect(findings[0]).toMatchObject({ type: 'corrupt', reason: 'its bytes are not there' });
  });

  async function keyOf(collection: string): Promise<string> {
    const query = server.parts.knex('segments').where({ collection_id: collection }).whereNotNull('sealed');
    return (await query.orderBy('id').first<{ key: string }>('key')).key;
  }
}
