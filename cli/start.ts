/** `adit start` */
import { fileURLToPath } from 'node:url';
import { resolve } from 'node:path';
import { startEmbedded } from './embedded/start-embedded.js';
import { announceReady, runPart, stopRequested } from './stop-signals.js';

const MAIN = fileURLToPath(new URL('./main.js', import.meta.url));

/** Runs the embedded service until it is told to stop. */
export const runStart = (): Promise<void> => runPart(service);

async function service(): Promise<void> {
  const stopping = stopRequested();
  const told = new AbortController();
  void stopping.then(() => told.abort());
  const dataDir = resolve(process.env['DATA_DIR'] || './data');
  const tell = (sentence: string): void => void process.stdout.write(`${sentence}\n`);
  const options = { dataDir, port: readPort(), env: process.env, main: MAIN, tell, signal: told.signal };
  const running = await startEmbedded(options).catch((error: unknown) => {
    if (error !== told.signal.reason) throw error;
  });
  // Told to stop before it had started: nothing of it is left.
  if (running === undefined) return;
  tell(`
Adit is at          ${running.url}
API description     ${running.url}/docs   (${running.url}/openapi.yaml)
Data                ${dataDir}`);
  if (running.firstKey !== undefined) {
    tell(`
Your key            ${running.firstKey}
                    It is shown this once. Another:
                    DATA_DIR=${dataDir} npx adit keys create --name "Ada"

Try it:
  export ADIT_URL=${running.url} ADIT_KEY=${running.firstKey}
  npx adit search sotu railroad

Texts of your own need a key that may ingest:
  export ADIT_KEY=$(DATA_DIR=${dataDir} npx adit keys create --name "Ada" --role admin)
  npx adit ingest mine ./folder`);
  }
  tell('\nStop it with Ctrl-C.');
  announceReady({ url: running.url });
  await stopping;
  await running.stop();
}

function readPort(): number {
  const text = process.env['PORT'] || '3000';
  if (!/^\d{1,5}$/.test(text) || Number(text) > 65_535) throw new Error(`PORT must be a port number, not ${text}.`);
  return Number(text);
}
