/**
 * The whole path on real servers: a docset of the corpus is asked for, its members come over HTTP, their segments from S3, and
 * the archive goes there; beside the first Adit's packager on the same documents and servers.
 */
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ensureCollection, sendDocuments, type IngestLine } from '../../cli/ingest/ingest-client.js';
import { openBroker, type PhaseSpan } from '../../queue-config/index.js';
import { makeKey, makeMiner, makeService, type Service } from '../acceptance/service.js';
import { startRealStage } from '../acceptance/stage.js';
import { waitUntil } from '../servers/wait-until.js';
import type { Corpus, CorpusDocument } from './corpus/build-corpus.js';
import { interleave, medianOf, MOST_MEMORY, type Ratios } from './measure.js';
import { peakMemoryOf, watchEvents } from './packaging-job.js';
import { measureUpload } from './packaging-upload.js';
import { runPredecessor } from './predecessor/run-predecessor.js';

const COLLECTION = 'corpus';
/** Documents sent in one request: no answer takes so long that a client gives up. */
const SENT_AT_ONCE = 5_000;
/** It takes two minutes, and is measured in minutes: noise does not matter to it. */
const PREDECESSOR_ROUNDS = Number(process.env['PREDECESSOR_ROUNDS'] ?? 1);

export async function measureService(corpus: Corpus, rounds: number, ratios: Ratios): Promise<void> {
  const stage = await startRealStage();
  const packagerKey = randomBytes(16).toString('hex');
  const service = await makeService(stage, { env: { LOG_LEVEL: 'warn', PACKAGER_KEY: packagerKey } });
  const broker = openBroker({ urls: stage.broker.url('api-server') });
  const events = watchEvents(broker);
  try {
    const { url } = await service.apiServer({ VALIDATE_RESPONSES: 'false' });
    await sendCorpus(corpus, { url, key: await makeKey(service, 'admin') });
    const miner = makeMiner(url, await makeKey(service));
    const docset = await miner.docset(COLLECTION);
    const id = docset.split('/').at(-1) ?? '';
    const packager = await service.packager();
    let phases = '';

    const figures = await interleave(
      {
        async packager() {
          const ended = events.end(id);
          const started = performance.now();
          const asked = await miner.post(`${docset}/dump?fmt=txt&force=true`);
          if (asked.status !== 202) throw new Error(`kick-off: ${asked.status} ${JSON.stringify(asked.body)}`);
          const { documents, omitted, timeline = [] } = await ended;
          const took = performance.now() - started;
          if (documents !== corpus.documents.length || omitted !== 0) throw new Error(`${documents} were packed`);
          phases = timeline.map(durationOf).join(', ');
          await freeStorage(service, miner, docset);
          return took;
        },
      },
      { rounds, warmUp: 1 },
    );
    const packaged = medianOf(figures, 'packager');
    process.stdout.write(
      `whole path: ${(packaged / 1000).toFixed(2)} s from the request to Complete (the last: ${phases})\n`,
    );
    const predecessor = await timePredecessor(service, `${url}${docset}`, packagerKey);
    ratios.add('service_to_predecessor', 'whole path: speed / the first Adit', predecessor / packaged, { least: 80 });
    const peak = peakMemoryOf(packager.pid);
    ratios.add('service_memory', 'whole path: peak memory of the packager in MB', peak, { most: MOST_MEMORY });
    await measureUpload(service, rounds, ratios);
  } finally {
    await events.close();
    await broker.close();
    await service.close();
    await stage.close();
  }
}

function durationOf({ phase, started, ended }: PhaseSpan): string {
  return `${phase} ${(((ended?.getTime() ?? NaN) - started.getTime()) / 1000).toFixed(2)} s`;
}

async function sendCorpus(corpus: Corpus, server: { url: string; key: string }): Promise<void> {
  const started = performance.now();
  await ensureCollection(server, { id: COLLECTION, name: COLLECTION, licence: 'various' });
  for (let start = 0; start < corpus.documents.length; start += SENT_AT_ONCE) {
    const documents = corpus.documents.slice(start, start + SENT_AT_ONCE);
    const { refused } = await sendDocuments(server, COLLECTION, linesOf(corpus.folder, documents));
    if (refused.length > 0) throw new Error(`refused: ${JSON.stringify(refused.slice(0, 3))}`);
  }
  process.stdout.write(`ingested in ${((performance.now() - started) / 1000).toFixed(0)} s\n`);
}

async function* linesOf(folder: string, documents: readonly CorpusDocument[]): AsyncGenerator<IngestLine> {
  for (const { ref, title } of documents) {
    const text = await readFile(join(folder, `${ref}.txt`), 'utf8');
    yield { ref, metadata: { title }, files: { txt: { text } } };
  }
}

/** The server keeps what it stores in memory. */
async function freeStorage(service: Service, miner: ReturnType<typeof makeMiner>, docset: string): Promise<void> {
  await miner.delete(`${docset}/dump?fmt=txt`);
  await waitUntil('the archive is gone', async () => (await service.stores.keys('dumps/')).length === 0);
}

/** Milliseconds, the median. */
async function timePredecessor(service: Service, docsetUrl: string, key: string): Promise<number> {
  const { AWS_REGION = '', ...store } = service.stores.env;
  const times: number[] = [];
  for (let round = 0; round < PREDECESSOR_ROUNDS; round++) {
    const { seconds, documents, peak_kilobytes } = await runPredecessor({
      ...store,
      AWS_DEFAULT_REGION: AWS_REGION,
      S3_KEY: 'predecessor.zip',
      DOCSET_URL: docsetUrl,
      API_KEY: key,
    });
    const memory = ((peak_kilobytes * 1024) / 1e6).toFixed(0);
    process.stdout.write(`the first Adit: ${documents} documents in ${seconds.toFixed(1)} s, ${memory} MB\n`);
    times.push(seconds * 1000);
  }
  return times.sort((a, b) => a - b)[Math.floor(times.length / 2)] ?? NaN;
}
