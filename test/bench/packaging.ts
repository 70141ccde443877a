/**
 * What packaging costs beside Info-ZIP, `cp` and the first Adit's packager: `npm run bench:packaging`.
 *
 * Arguments name the parts to be measured: engine, latency, service, memory; all by default. ROUNDS are 5. BENCH_DIR is where
 * the archives of the engine and of latency go: a folder in memory where there is one, so that no disk is measured.
 * LONG=1 makes archives of 5 and 20 GB and of 1,000,000 members too. DOCUMENTS takes only so many of the corpus, to try things
 * out. What is missing of other programs is installed first (install.sh). Prints a table, and last one line of JSON. REPORT
 * names a Markdown file (docs/performance.md), into which the table is written between the two comments that mark its place.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { openCorpus, type Corpus } from './corpus/build-corpus.js';
import { createRatios } from './measure.js';
import { measureEngine } from './packaging-engine.js';
import { measureLatency } from './packaging-latency.js';
import { measureMemory } from './packaging-memory.js';
import { measureService } from './packaging-service.js';
import { writeFigures } from './write-figures.js';

const ROUNDS = Number(process.env['ROUNDS'] ?? 5);
const IN_MEMORY = '/dev/shm';
const BENCH_DIR = process.env['BENCH_DIR'] ?? (existsSync(IN_MEMORY) ? IN_MEMORY : tmpdir());
const IS_LONG = process.env['LONG'] === '1';
const PARTS = ['engine', 'latency', 'service', 'memory'];

execFileSync(join(import.meta.dirname, 'install.sh'), { stdio: 'inherit' });
const wanted = process.argv.length > 2 ? process.argv.slice(2) : PARTS;
const corpus = firstOf(await openCorpus(), Number(process.env['DOCUMENTS'] ?? Infinity));
const count = corpus.documents.length.toLocaleString('en');
process.stdout.write(
  `${count} documents, ${(corpus.bytes / 1e6).toFixed(0)} MB, SHA-256 ${corpus.sha256.slice(0, 12)}, in ${BENCH_DIR}\n`,
);
const folder = await mkdtemp(join(BENCH_DIR, 'adit-bench-'));
// Whatever ends this: it may be memory that the folder takes.
process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));
const ratios = createRatios();
if (wanted.includes('engine')) await measureEngine(corpus, folder, ROUNDS, ratios);
if (wanted.includes('latency')) await measureLatency(corpus, folder, ROUNDS, ratios);
if (wanted.includes('service')) await measureService(corpus, ROUNDS, ratios);
if (wanted.includes('memory')) await measureMemory(IS_LONG, ratios);
const report = process.env['REPORT'];
if (report !== undefined) await writeFigures(report, figures());
ratios.print();

/** @returns a line that says what was measured on, and all ratios, as Markdown */
function figures(): string {
  const megabytes = (corpus.bytes / 1e6).toFixed(0);
  const machine = `${availableParallelism()} cores, Node ${process.version}, ${ROUNDS} rounds`;
  return `${count} documents, ${megabytes} MB of text; ${machine}.\n\n${ratios.table()}`;
}

function firstOf({ documents, ...corpus }: Corpus, most: number): Corpus {
  const first = documents.slice(0, most);
  return { ...corpus, documents: first, bytes: first.reduce((sum, { size }) => sum + size, 0) };
}
