/** A source that takes 10 ms for each document: a whole job of a packager beside the first Adit's way. */
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Corpus } from './corpus/build-corpus.js';
import { interleave, medianOf, type Ratios } from './measure.js';
import { startPackagerUnderTest } from './packaging-job.js';
import { startSource } from './packaging-source.js';
import { runPredecessor } from './predecessor/run-predecessor.js';

const LATENCY = 10;
/** Enough for the pace to show; the predecessor takes half a minute for them. */
const DOCUMENTS = 2_000;

export async function measureLatency(corpus: Corpus, folder: string, rounds: number, ratios: Ratios): Promise<void> {
  const data = join(folder, 'latency');
  await mkdir(data);
  const step = Math.floor(corpus.documents.length / DOCUMENTS);
  const documents = corpus.documents.filter((_, index) => index % step === 0).slice(0, DOCUMENTS);
  const contents = await Promise.all(documents.map(({ ref }) => readFile(join(corpus.folder, `${ref}.txt`))));
  const digests = contents.map((content) => createHash('sha256').update(content).digest('hex'));
  const source = await startSource({
    count: documents.length,
    *lines(url) {
      for (const [number, { ref, title, size }] of documents.entries()) {
        const document = `${url}/api/documents/${number}`;
        const txt = { href: `${document}/files/txt`, media_type: 'text/plain', size, sha256: digests[number] };
        yield JSON.stringify({ ref, title, url: document, files: { txt } });
      }
    },
    bareMembers: () => documents.map(({ ref }, number) => ({ ref, url: `/documents/${number}` })),
    document: (number) => contents[number] ?? Buffer.alloc(0),
    latency: LATENCY,
  });
  const packager = await startPackagerUnderTest({
    apiUrl: source.url,
    packagerKey: randomBytes(16).toString('hex'),
    folder: data,
  });
  const packageAll = async (): Promise<number> => {
    const { milliseconds, documents: packed } = await packager.run(source.docsetUrl);
    if (packed !== documents.length) throw new Error(`${packed} documents were packed`);
    return milliseconds;
  };
  try {
    // A first job warms up; the predecessor is a new process each time.
    await packageAll();
    const figures = await interleave(
      {
        packager: packageAll,
        predecessor: async () => {
          const ARCHIVE = join(data, 'predecessor.zip');
          return (await runPredecessor({ DOCSET_URL: source.docsetUrl, ARCHIVE })).seconds * 1000;
        },
      },
      { rounds, warmUp: 0 },
    );
    const [packaged, predecessor] = [medianOf(figures, 'packager'), medianOf(figures, 'predecessor')];
    process.stdout.write(
      `${DOCUMENTS} documents of ${LATENCY} ms each: ${(packaged / 1000).toFixed(2)} s, the predecessor ${(predecessor / 1000).toFixed(2)} s\n`,
    );
    ratios.add('latency_to_predecessor', 'documents that take 10 ms: speed / the first Adit', predecessor / packaged, {
      least: 14,
    });
  } finally {
    await packager.close();
    await source.close();
    await rm(data, { recursive: true });
  }
}
