/** How far an ingest is, on a terminal. */
import { Presets, SingleBar } from 'cli-progress';
import type { Source } from './source.js';

export interface ProgressBar {
  /** @param documents how many were looked at so far */
  show(documents: number): void;
  end(): void;
}

const FORMAT = '{bar} {percentage}% | {documents} documents | {rate}/s | {eta_formatted} left';

/** Nothing is shown where nobody looks. */
export function startProgressBar(source: Source, output: NodeJS.WriteStream = process.stderr): ProgressBar {
  const started = Date.now();
  const payload = (documents: number) => ({
    documents,
    rate: Math.round((documents * 1000) / Math.max(1, Date.now() - started)),
  });
  const { total } = source.progress();
  const format = total === undefined ? '{documents} documents | {rate}/s' : FORMAT;
  const bar = new SingleBar({ format, stream: output, hideCursor: true, etaBuffer: 100 }, Presets.shades_classic);
  // The bar itself is silent where its stream is no terminal.
  bar.start(total ?? 0, 0, payload(0));
  return {
    show: (documents) => bar.update(source.progress().done, payload(documents)),
    end: () => bar.stop(),
  };
}
