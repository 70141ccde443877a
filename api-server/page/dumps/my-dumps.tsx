/** All dumps of whoever is signed in, newest first: to find one again, from whichever browser it was asked for. */
import { useState } from 'preact/hooks';
import { api, bodyOf, nextCursor } from '../foundation/api.js';
import { knownError, useLoaded } from '../foundation/loading.js';
import { Loaded, ProblemNotice } from '../foundation/notices.js';
import { usePolled } from '../foundation/polled.js';
import { bytes, count, list, when } from '../foundation/words.js';
import { addressOf, docsetOf, pageOf, pollDump, type Dump } from './dump-address.js';

interface Page {
  dumps: Dump[];
  next: string | undefined;
}

export function MyDumps() {
  const first = useLoaded('', async (signal) => ({ ...(await page(undefined, signal)), names: await names(signal) }));
  return (
    <div class="column">
      <h1 tabIndex={-1}>Your dumps</h1>
      <Loaded of={first} what="your dumps">
        {(loaded) => (loaded.dumps.length === 0 ? <None /> : <List {...loaded} />)}
      </Loaded>
    </div>
  );
}

async function page(cursor: string | undefined, signal?: AbortSignal): Promise<Page> {
  const asked = await api.GET('/dumps', {
    params: { query: { limit: 50, ...(cursor === undefined ? {} : { cursor }) } },
    ...(signal === undefined ? {} : { signal }),
  });
  const { dumps } = await bodyOf(Promise.resolve(asked));
  return { dumps, next: nextCursor(asked.response) };
}

/** Of docsets, by their ids. Those beyond the first page go by their numbers. */
async function names(signal: AbortSignal): Promise<Map<string, string>> {
  const { docsets } = await bodyOf(api.GET('/docsets', { params: { query: { limit: 1_000 } }, signal }));
  return new Map(docsets.flatMap(({ id, name }) => (name === null ? [] : [[id, name] as const])));
}

const None = () => (
  <p class="lead">
    None yet. A dump is made of a docset: <a href="/docsets">choose one</a>, or <a href="/">search</a> for what is to be
    in one.
  </p>
);

function List({ dumps, next, names: known }: Page & { names: Map<string, string> }) {
  const [shown, setShown] = useState<Page>({ dumps, next });
  const [state, setState] = useState<'ready' | 'loading' | ReturnType<typeof knownError>>('ready');
  const more = async (): Promise<void> => {
    setState('loading');
    try {
      const further = await page(shown.next);
      setShown({ dumps: [...shown.dumps, ...further.dumps], next: further.next });
      setState('ready');
    } catch (error) {
      setState(knownError(error));
    }
  };
  return (
    <>
      <ul class="cards">
        {shown.dumps.map((dump) => (
          <li key={dump.id} class="card">
            {dump.done ? <Entry dump={dump} names={known} /> : <LiveEntry dump={dump} names={known} />}
          </li>
        ))}
      </ul>
      {typeof state === 'object' && <ProblemNotice error={state} />}
      {shown.next !== undefined && (
        <p class="actions">
          <button type="button" disabled={state === 'loading'} onClick={() => void more()}>
            Show older ones
          </button>
        </p>
      )}
    </>
  );
}

/** Only a poll of a dump brings news of it. */
function LiveEntry({ dump, names: known }: { dump: Dump; names: Map<string, string> }) {
  const polled = usePolled(dump.id, (signal) => pollDump(addressOf(dump), signal));
  const news = polled.state === 'known' && polled.value.id === dump.id ? polled.value : dump;
  return <Entry dump={news} names={known} />;
}

function Entry({ dump, names: known }: { dump: Dump; names: Map<string, string> }) {
  const docset = docsetOf(dump.docset);
  return (
    <>
      <h2>
        <a dir="auto" href={pageOf(addressOf(dump))}>
          {known.get(docset) ?? `Docset ${docset}`}
        </a>
      </h2>
      <p class="facts">
        {list(dump.formats)} · {dump.container} · {count(dump.counts.requested, 'document')} · asked for{' '}
        <time dateTime={dump.created}>{when(dump.created)}</time>
      </p>
      {!dump.done && (
        <progress max={100} value={dump.progress} aria-label="Progress">
          {dump.progress}%
        </progress>
      )}
      <p>
        <span class={`badge ${dump.status}`}>{STATUS[dump.status]}</span> {sentence(dump)}
      </p>
    </>
  );
}

const STATUS: Readonly<Record<Dump['status'], string>> = {
  accepted: 'Waiting',
  running: 'Being made',
  successful: 'Ready',
  failed: 'Failed',
  dismissed: 'Cancelled',
  expired: 'No longer kept',
};

function sentence(dump: Dump): string {
  switch (dump.status) {
    case 'accepted':
      return dump.attempt > 1 ? `attempt ${dump.attempt}` : '';
    case 'running':
      return `${dump.progress}%`;
    case 'successful':
      return [
        dump.archive?.size === null || dump.archive === null ? undefined : bytes(dump.archive.size),
        dump.expires === null ? undefined : `kept until ${when(dump.expires)}`,
      ]
        .filter((part) => part !== undefined)
        .join(', ');
    case 'failed':
      return dump.error?.title ?? '';
    case 'dismissed':
    case 'expired':
      return '';
  }
}
