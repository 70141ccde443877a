/** `adit start` */
import { fileURLToPath } from 'node:url';
import { resolve } from 'node:path';
import { startEmbedded } from './embedded/start-embedded.js';
import { announceReady, stopRequested } from './stop-signals.js';

const MAIN = fileURLToPath(new URL('./main.js', import.meta.url));

/** Runs the embedded service until it is told to stop. */
export async function runStart(): Promise<void> {
  const stopping = stopRequested();
  const dataDir = resolve(process.env['DATA_DIR'] || './data');
  const tell = (sentence: string): void => void process.stdout.write(`${sentence}\n`);
  const service = await startEmbedded({ dataDir, port: readPort(), env: process.env, main: MAIN, tell });
  tell(`
Adit is at          ${service.url}
API description     ${service.url}/docs   (${service.url}/openapi.yaml)
Data                ${dataDir}`);
  if (service.firstKey !== undefined) {
    tell(`
Your key            ${service.firstKey}
                    It is shown this once; "adit keys create" makes others.

Try it:
  export KEY=${service.firstKey}
  curl -s -H "X-API-Key: $KEY" ${service.url}/api/collections`);
  }
  tell('\nStop it with Ctrl-C.');
  announceReady({ url: service.url });
  await stopping;
  await service.stop();
  if (process.channel) process.disconnect();
}

function readPort(): number {
  const text = process.env['PORT'] || '3000';
  if (!/^\d{1,5}$/.test(text) || Number(text) > 65_535) throw new Error(`PORT must be a port number, not ${text}.`);
  return Number(text);
}
