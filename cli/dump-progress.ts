/** How a dump is coming on, as a bar in the terminal: first of the packaging, then of the download. */
import { SingleBar } from 'cli-progress';
import prettyBytes from 'pretty-bytes';
import ms from 'ms';
import type { DumpStatus } from './miner/miner-client.js';

export interface DumpProgress {
  onStatus: (status: DumpStatus) => void;
  onBytes: (bytes: number, size: number | null) => void;
  onVerify: () => void;
  /** Told why nothing moves. */
  onWait: (why: string) => void;
  stop: () => void;
}

const FORMAT = '{title} [{bar}] {percentage}% | {state}';
const TITLES = { packaging: 'Packaging', download: 'Download ' };
const RATE_AFTER = 1_000;

export type ProgressKind = 'bar' | 'json' | 'none';

export function progressOf(kind: ProgressKind): DumpProgress {
  switch (kind) {
    case 'bar':
      return showProgress();
    case 'json':
      return writeProgress((line) => process.stderr.write(line));
    case 'none':
      return writeProgress(() => undefined);
  }
}

/** One JSON object a line, with the `event` that it tells of; of a download, at most one a second and the last. */
export function writeProgress(write: (line: string) => void): DumpProgress {
  const tell = (event: string, facts: object): void => write(`${JSON.stringify({ event, ...facts })}\n`);
  let told = -Infinity;
  let last = '';
  return {
    onStatus({ status, phase, progress, remaining_seconds, counts }) {
      const facts = { status, phase, progress, remaining_seconds, counts };
      // Asked again, the server often has nothing new.
      if (JSON.stringify(facts) !== last) tell('status', facts);
      last = JSON.stringify(facts);
    },
    onBytes(bytes, size) {
      if (bytes !== size && Date.now() - told < 1_000) return;
      told = Date.now();
      tell('download', { bytes, size });
    },
    onVerify: () => tell('verify', {}),
    onWait: (why) => tell('wait', { why }),
    stop: () => undefined,
  };
}

/** @param always draws in a log too, at long intervals; else nothing is drawn where nobody looks */
export function showProgress({ always = false } = {}): DumpProgress {
  const bar = new SingleBar({
    format: FORMAT,
    barCompleteChar: '=',
    barIncompleteChar: ' ',
    noTTYOutput: always,
    hideCursor: false,
    fps: 5,
  });
  let title: keyof typeof TITLES | undefined;
  let first: { bytes: number; at: number } | undefined;
  const show = (of: keyof typeof TITLES, percentage: number, state: string): void => {
    if (title !== of) {
      if (title !== undefined) bar.stop();
      title = of;
      bar.start(100, percentage, { title: TITLES[of], state });
    }
    bar.update(percentage, { title: TITLES[of], state });
  };
  return {
    onStatus({ progress, phase, status, remaining_seconds: remaining }) {
      const left = remaining === null || remaining === 0 ? '' : `, ${ms(remaining * 1_000)} left`;
      show('packaging', progress, `${phase ?? status}${left}`);
    },
    onBytes(bytes, size) {
      const now = Date.now();
      first ??= { bytes, at: now };
      const elapsed = now - first.at;
      const rate = elapsed > RATE_AFTER ? ((bytes - first.bytes) / elapsed) * 1_000 : undefined;
      const left = rate && size !== null ? `, ${ms(((size - bytes) / rate) * 1_000)} left` : '';
      const of = size === null ? '' : ` of ${prettyBytes(size)}`;
      const speed = rate === undefined ? '' : `, ${prettyBytes(rate)}/s${left}`;
      show('download', size === null ? 0 : (bytes / size) * 100, `${prettyBytes(bytes)}${of}${speed}`);
    },
    onVerify: () => title !== undefined && bar.update({ state: 'checking every checksum' }),
    onWait: (why) => title !== undefined && bar.update({ state: why }),
    stop: () => title !== undefined && bar.stop(),
  };
}
