// From a query to a verified archive with the typed client of Adit (`import … from 'adit/client'`; Node 20 or newer):
//   ADIT_URL=http://localhost:3000 ADIT_KEY=adit_… node study.mjs railroads.zip
import { createMinerClient, saveDump } from 'adit/client';

const { ADIT_URL = 'http://localhost:3000', ADIT_KEY = '' } = process.env;
const [file = 'railroads.zip'] = process.argv.slice(2);
const query = { bool: { must: [{ match: { text: 'railroad' } }], filter: [{ range: { year: { lt: 1900 } } }] } };

const miner = createMinerClient(ADIT_URL, ADIT_KEY);
const { hits, facets } = await miner.search('sotu', { query, facets: { party: { terms: { field: 'party' } } } });
console.log(hits, 'documents:', facets['party']?.buckets.map(({ key, count }) => `${key} ${count}`).join(', '));

// Makes the docset, asks for the dump, polls, downloads, verifies; called again after an interruption, it goes on.
const wish = { docset: { name: 'Railroads', collection: 'sotu', query }, formats: ['meta', 'txt'] };
const { bag, size, status } = await saveDump(miner, wish, file, {
  onStatus: ({ progress, phase }) => console.error(`${progress}% ${phase ?? ''}`),
});
console.log(status.message);
console.log(`${file}: ${size} bytes, ${bag?.verified} checksums are right.`);

// Everything else that the API has, by path, with the types of openapi.yaml:
const { data } = await miner.http.GET('/collections/{collection}', { params: { path: { collection: 'sotu' } } });
console.log(data?.name, data?.licence);
