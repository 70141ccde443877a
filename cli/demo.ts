/** `adit demo`: the whole path once, as a miner goes it, on a service of its own. */
import { mkdtemp, rm, rmdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import prettyBytes from 'pretty-bytes';
import { showProgress } from './dump-progress.js';
import { startEmbedded, type EmbeddedService } from './embedded/start-embedded.js';
import { InterruptedError } from './explain.js';
import { createMinerClient, type MinerClient } from './miner/miner-client.js';
import { saveDump } from './miner/save-dump.js';

const MAIN = fileURLToPath(new URL('./main.js', import.meta.url));
const FORMATS = ['meta', 'txt'];
const QUERY = {
  bool: { must: [{ term: { party: 'Democratic' } }], filter: [{ range: { year: { gte: 1900, lt: 2000 } } }] },
};

/** What the parts need of the environment; a database or a bucket that it names is not for a demo to fill. */
const INHERITED = ['PATH', 'HOME', 'TMPDIR', 'TEMP', 'TMP', 'SystemRoot', 'LOG_LEVEL'];

/** Starts everything in a temporary folder, makes a study, keeps the archive, stops everything. @throws {InterruptedError} */
export async function runDemo(): Promise<void> {
  const interruption = new AbortController();
  // Pressed again, it does not keep us from cleaning up.
  const interrupt = (): void => {
    if (interruption.signal.aborted) return;
    tell('Stopping…');
    interruption.abort(new InterruptedError('Interrupted.'));
  };
  process.on('SIGINT', interrupt).on('SIGTERM', interrupt);
  const folder = await mkdtemp(join(tmpdir(), 'adit-demo-'));
  try {
    await demoIn(folder, interruption.signal);
    tell('Done.');
  } catch (error) {
    // A piece of an archive is of no use.
    if (error instanceof InterruptedError) await rm(folder, { recursive: true, force: true });
    throw error;
  } finally {
    process.off('SIGINT', interrupt).off('SIGTERM', interrupt);
  }
}

async function demoIn(folder: string, signal: AbortSignal): Promise<void> {
  const dataDir = join(folder, 'data');
  let service: EmbeddedService | undefined;
  try {
    tell('Starting broker, database, api-server and packager…');
    const env = Object.fromEntries(INHERITED.map((name) => [name, process.env[name]]));
    service = await startEmbedded({ dataDir, port: 0, env, main: MAIN, tell, signal });
    if (service.firstKey === undefined) throw new Error('The service made no key on its first start.');
    await study(createMinerClient(service.url, service.firstKey, { signal }), join(folder, 'docset.zip'));
  } catch (error) {
    // However it shows: a wait, a request or a write that was broken off.
    throw signal.aborted ? signal.reason : error;
  } finally {
    if (!signal.aborted) tell('Stopping…');
    await service?.stop();
    await rm(dataDir, { recursive: true, force: true });
    // Stays where the archive is in it.
    await rmdir(folder).catch(() => undefined);
  }
}

async function study(miner: MinerClient, file: string): Promise<void> {
  tell(`Query:    ${JSON.stringify(QUERY)}`);
  const docset = { name: 'Democratic presidents of the 20th century', collection: 'sotu', query: QUERY };
  const progress = showProgress({ always: true });
  const saved = await saveDump(miner, { docset, formats: FORMATS }, file, {
    ...progress,
    onDocset: (id) => tell(`Docset:   ${id}`),
  }).finally(() => progress.stop());
  const { size, sha256, bag, status } = saved;
  tell(status.message);
  if (bag === null) throw new Error('The archive came without a checksum.');
  const kinds = Object.entries(bag.payload).map(([extension, count]) => `${count} .${extension}`);
  tell(`
Archive:  ${file}
          ${size} bytes, SHA-256 ${sha256} – as the server says
Verified: ${bag.verified} checksums, ${prettyBytes(bag.bytes)} unpacked
Contents: ${bag.folder}/  ${kinds.join(', ')} files in data/, and catalog.csv, omitted.csv, bag-info.txt:
${bag.info.trimEnd().replaceAll(/^/gm, '            ')}
`);
}

function tell(sentence: string): void {
  process.stdout.write(`${sentence}\n`);
}
