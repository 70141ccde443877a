/** The api-server is killed inside a request: before and after each thing that it says to database, broker and store. */
import type { MinerClient } from '../../cli/miner/miner-client.js';
import { connectStomp } from '../servers/stomp-peer.js';
import { waitUntil } from '../servers/wait-until.js';
import { conclude, onField, type Drill, type DrillContext, type DrillResult } from './drill.js';
import type { Field, FieldOptions } from './field.js';
import { dumpOne, makeDocsets, type Outcome } from './miners.js';
import { createStepLines, throughPort, type StepLines } from './step-lines.js';

/** A packager asks the api-server too, and one that is killed again and again may keep it waiting for longer than it waits. */
const PACKAGER_WAITED = ['packager-stalled', 'source-unavailable'];

interface Scene {
  field: Field;
  client: MinerClient;
  docset: string;
}

interface Act {
  name: string;
  settings: Partial<FieldOptions>;
  /** Before the api-server is in danger. */
  prepare(scene: Scene): Promise<void>;
  /** The request in which it is killed; the client repeats it. */
  request(scene: Scene): Promise<unknown>;
  /** Once all of that is over. */
  after?(field: Field): Promise<unknown>;
}

const requestDump = ({ client, docset }: Scene): Promise<unknown> => client.requestDump(docset, { formats: ['txt'] });
const poll = ({ client, docset }: Scene): Promise<unknown> => client.newestDump(docset);

const ACTS: readonly Act[] = [
  { name: 'killed-in-kick-off', settings: {}, prepare: () => Promise.resolve(), request: requestDump },
  {
    name: 'killed-in-poll',
    settings: {},
    // All its events wait to be read by the poll.
    async prepare(scene) {
      await requestDump(scene);
      const { id } = await latest(scene);
      await waitUntil(
        'the manifest is stored',
        async () =>
          (await scene.field.service.stores.keys(`dumps/${id}/`)).some((key) => key.endsWith('manifest.json')),
        { deadlineMs: 120_000 },
      );
    },
    request: poll,
  },
  {
    name: 'killed-in-renewal',
    // The packager that takes the requests is one that never says more than that it has.
    settings: { packagers: 0, apiEnv: () => ({ DUMP_LEASE: '1s' }) },
    async prepare(scene) {
      await requestDump(scene);
      await takeAndSayNoMore(scene.field, (await latest(scene)).id);
      await waitUntil('it is said to run', async () => {
        await poll(scene);
        return (await latest(scene)).status === 'running';
      });
      // The next poll finds its lease over.
      await waitUntil('the lease is over', async () => Date.now() - Date.parse((await latest(scene)).updated) > 1_100);
    },
    request: poll,
    after: (field) => field.addPackager(),
  },
];

export const KILLED_IN_STEPS: readonly Drill[] = ACTS.map((act) => ({
  name: act.name,
  // The others leave fences, which take a minute to expire.
  isShort: act.name === 'killed-in-kick-off',
  run: (context) => killInSteps(context, act),
}));

async function killInSteps(context: DrillContext, act: Act): Promise<DrillResult> {
  const lines = createStepLines();
  try {
    return await onField(
      context,
      // What they have is not what this is about.
      {
        documents: 5,
        packagers: 1,
        ...act.settings,
        apiEnv: (stores, broker) => throughLines(lines, stores, broker, act),
      },
      async (field) => {
        const struck = await strikeEach(field, lines, act, await makeDocsets(field, context.dumps));
        await act.after?.(field);
        const docsets = struck.map(({ docset }) => docset);
        const outcomes: Outcome[] = await Promise.all(docsets.map((docset) => dumpOne(field, docset)));
        const steps = struck.filter(({ wasStruck }) => wasStruck).length;
        const said = Math.max(...struck.map((each) => each.said));
        return { ...(await conclude(field, outcomes, PACKAGER_WAITED)), did: `${steps} kills in ${said} steps` };
      },
    );
  } finally {
    await lines.close();
  }
}

/** Each docset is struck at the next step, before and after it. */
async function strikeEach(
  field: Field,
  lines: StepLines,
  act: Act,
  docsets: readonly string[],
): Promise<{ docset: string; wasStruck: boolean; said: number }[]> {
  const struck: { docset: string; wasStruck: boolean; said: number }[] = [];
  for (const [index, docset] of docsets.entries()) {
    const scene = { field, client: field.miner, docset };
    await act.prepare(scene);
    let kill: () => void = () => undefined;
    const killed = new Promise<'killed'>((resolve) => (kill = () => resolve('killed')));
    lines.arm(1 + Math.floor(index / 2), index % 2 === 0 ? 'before' : 'after', () => {
      void field.api.kill().then(kill);
    });
    const answered = act.request(scene);
    const wasStruck = (await Promise.race([killed, answered])) === 'killed';
    if (wasStruck) await field.api.restart();
    await answered;
    struck.push({ docset, wasStruck, said: lines.disarm() });
  }
  return struck;
}

async function throughLines(
  lines: StepLines,
  stores: Readonly<Record<string, string>>,
  brokerUrl: string,
  { settings }: Act,
): Promise<Record<string, string>> {
  const through = async (url: string): Promise<string> =>
    throughPort(url, await lines.to(Number(new URL(url).port))).replace(/\/$/, '');
  return {
    ...(await settings.apiEnv?.(stores, brokerUrl)),
    BROKER_URL: await through(brokerUrl),
    DATABASE_URL: await through(stores['DATABASE_URL'] ?? ''),
    S3_ENDPOINT: await through(stores['S3_ENDPOINT'] ?? ''),
  };
}

/** As it is in the database: asking the api-server would be a poll. */
async function latest({ client, docset }: Scene): ReturnType<MinerClient['newestDump']> {
  const dumps = await client.dumps();
  const found = dumps.find((dump) => dump.docset === `/api/docsets/${docset}`);
  if (found === undefined) throw new Error(`docset ${docset} has no dump`);
  return found;
}

/** A packager takes the request of this dump, says so, and is never heard of again. Those of others go back. */
async function takeAndSayNoMore({ broker }: Field, dump: string): Promise<void> {
  const peer = await connectStomp(broker.url('packager'));
  try {
    await peer.request('SUBSCRIBE', {
      id: '1',
      destination: '/queue/docsets/package',
      ack: 'client-individual',
      // Not 1,000: that is the default, in place of which the broker puts its policy's.
      'activemq.prefetchSize': '999',
    });
    const { headers } = await peer.take('the request', (frame) => frame.headers['correlation-id'] === dump);
    await peer.request(
      'SEND',
      {
        destination: headers['reply-to'] ?? '',
        'correlation-id': headers['correlation-id'] ?? '',
        attempt: headers['attempt'] ?? '',
        run: String(Date.now()),
        sequence: '1',
        expires: String(Date.now() + 30_000),
      },
      'Accepted.',
    );
    await peer.request('ACK', { id: headers['ack'] ?? '' });
    await peer.disconnect();
  } finally {
    peer.destroy();
  }
}
