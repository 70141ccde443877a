/** A broker for each test, in this process, gone after it. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach } from '@jest/globals';
import {
  startEmbeddedBroker,
  type EmbeddedBroker,
  type EmbeddedBrokerOptions,
  type LogEvent,
} from '../../../queue-config/embedded-broker/index.js';
import { cutAll } from './raw-client.js';

const releases: (() => Promise<unknown>)[] = [];

/** Registers what a test has to leave behind clean. */
export function releaseAfterTest(release: () => Promise<unknown>): void {
  releases.push(release);
}

afterEach(async () => {
  await cutAll();
  for (let release = releases.pop(); release !== undefined; release = releases.pop()) await release();
});

export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'adit-broker-'));
  releaseAfterTest(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

export interface BrokerFixture {
  broker: EmbeddedBroker;
  url: string;
  folder: string;
  events: LogEvent[];
  /** The queue's numbers; undefined where there is no such queue. */
  queue: (name: string) => ReturnType<EmbeddedBroker['statistics']>['queues'][number] | undefined;
}

export async function startBroker(options: Partial<EmbeddedBrokerOptions> = {}): Promise<BrokerFixture> {
  const folder = options.folder ?? (await temporaryFolder());
  const events: LogEvent[] = [];
  const broker = await startEmbeddedBroker({ log: (event) => events.push(event), ...options, folder });
  releaseAfterTest(() => broker.stop());
  return {
    broker,
    url: broker.url,
    folder,
    events,
    queue: (name) => broker.statistics().queues.find((queue) => queue.name === name),
  };
}
