/** A dump from the moment at which it was asked for until its archive is here. Leaving this page loses nothing. */
import { useEffect, useRef, useState } from 'preact/hooks';
import { announce } from '../foundation/announce.js';
import { RefusedError, type UnreachableError, type Schemas, api, bodyOf } from '../foundation/api.js';
import { Dialog } from '../foundation/dialog.js';
import { knownError, useLoaded } from '../foundation/loading.js';
import { ProblemNotice } from '../foundation/notices.js';
import { usePolled, type Polled } from '../foundation/polled.js';
import { count, list, number } from '../foundation/words.js';
import { cancelDump, pageOf, parametersOf, pollDump, type Dump, type DumpAddress } from './dump-address.js';
import { AskAgain } from './ask-again.js';
import { DumpProgress, Moments, Timeline } from './dump-progress.js';
import { Take } from './take.js';

type Trouble = RefusedError | UnreachableError;

const MOST_ATTEMPTS = 3;

export function WatchDump({ address }: { address: DumpAddress }) {
  const [ended, setEnded] = useState<Dump>();
  const polled = usePolled(pageOf(address), (signal) => pollDump(address, signal));
  const again = (): void => {
    setEnded(undefined);
    polled.again();
  };
  const docset = useLoaded(address.docset, (signal) =>
    bodyOf(api.GET('/docsets/{docset}', { params: { path: { docset: address.docset } }, signal })),
  );
  const name =
    docset.state === 'loaded' ? (docset.value.name ?? `docset ${address.docset}`) : `docset ${address.docset}`;
  return (
    <article class="column dump">
      <h1 tabIndex={-1}>
        Dump of <span dir="auto">{name}</span>
      </h1>
      <p class="facts">
        <a href={`/docsets/${address.docset}`}>Docset {address.docset}</a> · {list(address.formats)} ·{' '}
        {address.container}
        {address.since !== undefined && ' · only what changed since an earlier dump'}
      </p>
      <Body address={address} polled={polled} ended={ended} end={setEnded} again={again} />
    </article>
  );
}

function Body({
  address,
  polled,
  ended,
  end,
  again,
}: {
  address: DumpAddress;
  polled: Polled<Dump>;
  ended: Dump | undefined;
  end: (dump: Dump) => void;
  again: () => void;
}) {
  if (polled.state === 'failed') return <NoDump error={polled.error} address={address} again={again} />;
  if (polled.state === 'loading') {
    return polled.trouble === undefined ? (
      <p class="waiting">Looking for the dump …</p>
    ) : (
      <Away error={polled.trouble} />
    );
  }
  const dump = ended ?? polled.value;
  return (
    <>
      {polled.trouble !== undefined && !dump.done && <Away error={polled.trouble} />}
      <State of={dump} at={polled.at} address={address} end={end} again={again} />
    </>
  );
}

function State({
  of: dump,
  at,
  address,
  end,
  again,
}: {
  of: Dump;
  at: number;
  address: DumpAddress;
  end: (dump: Dump) => void;
  again: () => void;
}) {
  useAnnounced(dump);
  switch (dump.status) {
    case 'accepted':
    case 'running':
      return (
        <>
          <p class="lead">{dump.status === 'accepted' ? 'Waiting for a packager.' : 'A packager is making it.'}</p>
          <Attempt of={dump} />
          {dump.stale && <Stale />}
          <DumpProgress dump={dump} at={at} />
          <Cancel address={address} cancelled={end} />
          <p class="hint">
            You may close this page: the dump is made all the same, and you find it among{' '}
            <a href="/dumps">your dumps</a>.
          </p>
        </>
      );
    case 'successful':
      return (
        <>
          <p class="lead">{dump.message}</p>
          <Omitted of={dump} address={address} />
          <Take dump={dump} address={address} again={again} />
          <History of={dump} />
        </>
      );
    case 'failed':
      return (
        <>
          <div role="alert" class="notice problem">
            <p class="notice-title">{dump.error?.title}</p>
            <p dir="auto">{dump.error?.detail}</p>
            {dump.error !== null && (
              <p>
                <a href={dump.error.type} target="_blank" rel="noreferrer">
                  What this means
                </a>
              </p>
            )}
          </div>
          <AskAgain address={address} again={again} />
          <History of={dump} />
        </>
      );
    case 'dismissed':
      return (
        <Over text="This dump was cancelled. Nothing of it was kept." dump={dump} again={again} address={address} />
      );
    case 'expired':
      return (
        <Over
          text="The archive is no longer kept. The docset is still what it was: the same dump can be made again."
          dump={dump}
          again={again}
          address={address}
        />
      );
  }
}

const Over = ({
  text,
  dump,
  address,
  again,
}: {
  text: string;
  dump: Dump;
  address: DumpAddress;
  again: () => void;
}) => (
  <>
    <p class="lead">{text}</p>
    <AskAgain address={address} again={again} />
    <History of={dump} />
  </>
);

/** Whoever does not see the page hears of the tenths, and of the end. */
function useAnnounced(dump: Dump): void {
  const told = useRef('');
  useEffect(() => {
    const tenth = Math.floor(dump.progress / 10) * 10;
    const sentence = dump.done
      ? dump.message
      : dump.status === 'accepted'
        ? 'Waiting for a packager.'
        : `${tenth}% done.`;
    if (sentence !== told.current) announce(sentence);
    told.current = sentence;
  }, [dump]);
}

function Attempt({ of: { attempt } }: { of: Dump }) {
  if (attempt === 1) return null;
  return (
    <p class="notice">
      The packager that had it was lost, and another was asked: this is attempt {attempt} of {MOST_ATTEMPTS}. It begins
      anew, and nothing has to be done.
    </p>
  );
}

const Stale = () => (
  <p class="notice">
    There is no news from the packagers at the moment. This is what was last known; it may be further.
  </p>
);

/** The server is away: nothing is lost by it, and the page goes on by itself. */
const Away = ({ error }: { error: Trouble }) => (
  <p class="notice" role="status">
    {error instanceof RefusedError && error.problem.status === 429
      ? 'The service is asked a little too often. The page waits for its turn.'
      : 'The service does not answer at the moment. The dump is made all the same; this page goes on by itself.'}
  </p>
);

function Cancel({ address, cancelled }: { address: DumpAddress; cancelled: (dump: Dump) => void }) {
  const [state, setState] = useState<'idle' | 'sure?' | 'cancelling' | Trouble>('idle');
  const cancel = async (): Promise<void> => {
    setState('cancelling');
    try {
      cancelled(await cancelDump(address));
    } catch (error) {
      setState(knownError(error));
    }
  };
  return (
    <>
      {typeof state === 'object' && <ProblemNotice error={state} />}
      <p class="actions">
        <button type="button" onClick={() => setState('sure?')} disabled={state === 'cancelling'}>
          {state === 'cancelling' ? 'Cancelling …' : 'Cancel the dump'}
        </button>
      </p>
      {state === 'sure?' && (
        <Dialog title="Cancel this dump?" onClose={() => setState('idle')}>
          <p>What was packed so far is thrown away. You can ask for the dump again at any time.</p>
          <p class="actions">
            <button type="button" class="danger" onClick={() => void cancel()}>
              Cancel the dump
            </button>
            <button type="button" onClick={() => setState('idle')}>
              Let it go on
            </button>
          </p>
        </Dialog>
      )}
    </>
  );
}

function NoDump({ error, address, again }: { error: Trouble; address: DumpAddress; again: () => void }) {
  if (error instanceof RefusedError && error.code === 'dump-not-requested') {
    return (
      <>
        <p class="lead">Nobody has asked for this dump yet.</p>
        <AskAgain address={address} again={again} label="Ask for it" />
        <p>
          <a href={`/docsets/${address.docset}/dump`}>Choose other formats</a>
        </p>
      </>
    );
  }
  return <ProblemNotice error={error} again={again} />;
}

type Estimate = Schemas['DumpEstimate'];

/** Why documents are incomplete: what is known of it here. Each of them is named in the archive. */
function Omitted({ of: dump, address }: { of: Dump; address: DumpAddress }) {
  const { omitted } = dump.counts;
  if (omitted === 0) return null;
  return (
    <section class="notice" aria-labelledby="omitted-heading">
      <h2 id="omitted-heading">{count(omitted, 'document is', 'documents are')} incomplete</h2>
      <MissingFormats address={address} />
      <p>
        <code>omitted.csv</code> in the archive names each file that is not there, with the reason: <code>missing</code>{' '}
        where the document does not have the format, <code>corrupt</code>, <code>unreadable</code> or{' '}
        <code>too-large</code> where it could not be taken as it should be. What these documents do have is in the
        archive.
      </p>
    </section>
  );
}

function MissingFormats({ address }: { address: DumpAddress }) {
  const estimate = useLoaded<Estimate>(pageOf(address), (signal) =>
    bodyOf(api.GET('/docsets/{docset}/dump/estimate', { params: parametersOf(address), signal })),
  );
  if (estimate.state !== 'loaded') return null;
  const lacking = estimate.value.by_format.filter(({ missing }) => missing > 0);
  if (lacking.length === 0) return null;
  return (
    <ul class="plain">
      {lacking.map(({ format, missing }) => (
        <li key={format}>
          {number(missing)} of them {missing === 1 ? 'has' : 'have'} no {format} in the collection.
        </li>
      ))}
    </ul>
  );
}

const History = ({ of: dump }: { of: Dump }) => (
  <details class="history">
    <summary>{dump.status === 'successful' ? 'How it was made' : 'What happened'}</summary>
    <Moments of={dump} />
    {dump.attempt > 1 && <p>It took {dump.attempt} attempts: a packager was lost on the way.</p>}
    {dump.timeline.length > 0 && <Timeline of={dump} />}
    <p class="facts">
      Dump <code>{dump.id}</code>
    </p>
  </details>
);
