/** For admins: how the queues are, which dumps are being made and by whom, and what failed. Asked only while somebody looks. */
import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';
import { announce } from '../foundation/announce.js';
import { RefusedError, api, bodyOf, type Schemas } from '../foundation/api.js';
import { Dialog } from '../foundation/dialog.js';
import { knownError } from '../foundation/loading.js';
import { ProblemNotice } from '../foundation/notices.js';
import { usePolled, type Polled } from '../foundation/polled.js';
import { me } from '../foundation/session.js';
import { count, list, number, span, when } from '../foundation/words.js';

type Queues = Schemas['Queues'];
type Overview = Schemas['DumpsOverview'];

/** Seconds between two looks. */
const PAUSE = 10;

export function Operators() {
  const who = me();
  if (who === undefined) return <p class="waiting">Finding out who you are …</p>;
  if (who.role !== 'admin') {
    return (
      <div class="column">
        <h1 tabIndex={-1}>Operators</h1>
        <p class="lead">This is for the people who run the service: it needs a key of the role admin.</p>
      </div>
    );
  }
  return <ForAdmins />;
}

function ForAdmins() {
  const queues = usePolled('queues', async (signal) => ({
    value: await bodyOf(api.GET('/admin/queues', { signal })),
    next: PAUSE,
  }));
  const dumps = usePolled('dumps', async (signal) => ({
    value: await bodyOf(api.GET('/admin/dumps', { signal })),
    next: PAUSE,
  }));
  const refresh = (): void => {
    queues.again();
    dumps.again();
    announce('Asked anew.');
  };
  return (
    <div class="operators">
      <h1 tabIndex={-1}>Operators</h1>
      <p class="actions">
        <button type="button" onClick={refresh}>
          Refresh
        </button>
        <span class="hint">
          Asked anew every {PAUSE} seconds while this tab is seen.
          {queues.state === 'known' && ` Last at ${new Date(queues.at).toLocaleTimeString('en-GB')}.`}
        </span>
      </p>
      <Known of={queues} what="the queues">
        {(value) => <QueueTables of={value} again={queues.again} />}
      </Known>
      <Known of={dumps} what="the dumps">
        {(value) => <DumpTables of={value} />}
      </Known>
    </div>
  );
}

/** What was last known stays while it cannot be asked, and the reason with it. */
function Known<Value>({
  of: polled,
  what,
  children,
}: {
  of: Polled<Value> & { again: () => void };
  what: string;
  children: (value: Value) => ComponentChildren;
}) {
  if (polled.state === 'failed') return <ProblemNotice error={polled.error} again={polled.again} />;
  const trouble = polled.trouble && <ProblemNotice error={polled.trouble} />;
  if (polled.state === 'loading') return trouble ?? <p class="waiting">Asking how {what} are …</p>;
  return (
    <>
      {trouble}
      {children(polled.value)}
    </>
  );
}

function QueueTables({
  of: { queues, progress, dead_letters: letters, strays },
  again,
}: {
  of: Queues;
  again: () => void;
}) {
  return (
    <>
      <section aria-labelledby="queues-heading">
        <h2 id="queues-heading">Queues</h2>
        <Table
          head={['Queue', '#Messages', '#Taken', '#Consumers', 'Oldest that waits']}
          rows={[
            ...queues.map(({ queue, messages, taken, consumers, oldest }) => [
              <code key="queue">{queue}</code>,
              messages ?? 'not there',
              taken ?? '–',
              consumers ?? '–',
              oldest === null ? '–' : age(oldest),
            ]),
            [
              <code key="queue">/queue/package/… ({number(progress.queues)})</code>,
              progress.messages,
              '–',
              progress.consumers,
              '–',
            ],
          ]}
        />
        {queues.some(
          ({ queue, messages, consumers }) => queue === '/queue/docsets/package' && messages !== 0 && consumers === 0,
        ) && <p class="notice problem">Requests wait, and no packager takes them.</p>}
        {strays > 0 && (
          <p class="notice problem">
            {count(strays, 'message is', 'messages are')} in the broker’s own dead letter queue, where none belongs: see{' '}
            <code>adit queues check</code>.
          </p>
        )}
      </section>
      <section aria-labelledby="letters-heading">
        <h2 id="letters-heading">Dead letters</h2>
        {letters.length === 0 ? (
          <p class="hint">None: every message could be read and was taken.</p>
        ) : (
          <>
            <Table
              head={['Since', 'From', 'Reason', 'Can be sent again']}
              rows={letters.map(({ since, from, reason, stays_because: stays }) => [
                since === null ? '–' : when(since),
                from === null ? '–' : <code key="from">{from}</code>,
                <span key="reason" dir="auto">
                  {reason}
                </span>,
                stays === null ? 'yes' : `no: ${stays}`,
              ])}
            />
            <LetterActions letters={letters.length} again={again} />
          </>
        )}
      </section>
    </>
  );
}

function LetterActions({ letters, again }: { letters: number; again: () => void }) {
  const [state, setState] = useState<'idle' | 'redrive?' | 'purge?' | 'busy' | ReturnType<typeof knownError>>('idle');
  const act = async (work: () => Promise<string>): Promise<void> => {
    setState('busy');
    try {
      announce(await work());
      setState('idle');
      again();
    } catch (error) {
      setState(knownError(error));
    }
  };
  const redrive = async (): Promise<string> => {
    const { sent, kept } = await bodyOf(api.POST('/admin/dead-letters/redrive'));
    return `${count(sent, 'dead letter was', 'dead letters were')} sent again, ${number(kept.length)} stay.`;
  };
  const purge = async (): Promise<string> => {
    const { deleted } = await bodyOf(api.DELETE('/admin/dead-letters'));
    return `${count(deleted, 'dead letter was', 'dead letters were')} deleted.`;
  };
  return (
    <>
      {state instanceof RefusedError && <ProblemNotice error={state} />}
      <p class="actions">
        <button type="button" disabled={state === 'busy'} onClick={() => setState('redrive?')}>
          Send them again
        </button>
        <button type="button" class="danger" disabled={state === 'busy'} onClick={() => setState('purge?')}>
          Delete them
        </button>
      </p>
      {(state === 'redrive?' || state === 'purge?') && (
        <Dialog
          title={state === 'redrive?' ? 'Send the dead letters again?' : 'Delete the dead letters?'}
          onClose={() => setState('idle')}
        >
          <p>
            {state === 'redrive?'
              ? 'Each goes to the queue that it was on. Do this once what was wrong is mended: otherwise they come back.'
              : `All ${number(letters)} of them, for good. Whoever waits for what they asked for has to ask again.`}
          </p>
          <p class="actions">
            <button
              type="button"
              class={state === 'redrive?' ? 'primary' : 'danger'}
              onClick={() => void act(state === 'redrive?' ? redrive : purge)}
            >
              {state === 'redrive?' ? 'Send them again' : 'Delete them'}
            </button>
            <button type="button" onClick={() => setState('idle')}>
              Leave them
            </button>
          </p>
        </Dialog>
      )}
    </>
  );
}

function DumpTables({ of: { days, live, failures, outcomes, packagers } }: { of: Overview }) {
  return (
    <>
      <section aria-labelledby="live-heading">
        <h2 id="live-heading">Being made: {number(live.total)}</h2>
        {live.total > 0 && (
          <>
            <Table
              head={['Docset', 'For', 'Formats', 'State', '#Progress', 'Packager', 'Last heard of']}
              rows={live.dumps.map((dump) => [
                dump.docset.slice('/api/docsets/'.length),
                <span key="owner" dir="auto">
                  {dump.owner}
                </span>,
                list(dump.formats),
                `${dump.phase ?? (dump.status === 'accepted' ? 'waiting' : 'taken')}${dump.attempt > 1 ? `, attempt ${dump.attempt}` : ''}`,
                `${dump.progress}%`,
                dump.packager === null ? '–' : <code key="packager">{dump.packager}</code>,
                age(dump.updated),
              ])}
            />
            <p class="hint">As polls last saw them: nobody looks at a dump but the one who wants it.</p>
          </>
        )}
      </section>
      <section aria-labelledby="packagers-heading">
        <h2 id="packagers-heading">Packagers</h2>
        {packagers.length === 0 ? (
          <p class="hint">None was heard of in {count(days, 'day')}.</p>
        ) : (
          <Table
            head={['Packager', '#At work on', '#Finished', '#Failed', 'Last heard of']}
            rows={packagers.map(({ packager, live: at, successful, failed, heard }) => [
              packager === null ? 'did not say its name' : <code key="packager">{packager}</code>,
              at,
              successful,
              failed,
              age(heard),
            ])}
          />
        )}
      </section>
      <section aria-labelledby="failures-heading">
        <h2 id="failures-heading">The last {count(days, 'day')}</h2>
        <p>
          {outcomes.length === 0
            ? 'No dump ended.'
            : `${list(outcomes.map(({ status, dumps }) => `${number(dumps)} ${status}`))}.`}
        </p>
        {failures.length > 0 && (
          <Table
            head={['Why dumps failed', '#Dumps', 'The last of them']}
            rows={failures.map(({ type, title, dumps, latest }) => [
              <a key="type" href={type}>
                {title}
              </a>,
              dumps,
              <span key="latest" dir="auto">
                {when(latest.finished)}: {latest.detail}
              </span>,
            ])}
          />
        )}
      </section>
    </>
  );
}

/** A head that begins with `#` is of a column of numbers. It scrolls by itself where it is too wide. */
function Table({ head, rows }: { head: string[]; rows: ComponentChildren[][] }) {
  const isNumber = (column: number): boolean => head[column]?.startsWith('#') === true;
  return (
    <div class="wide" role="region" aria-label={`Table: ${head[0] ?? ''}`} tabIndex={0}>
      <table>
        <thead>
          <tr>
            {head.map((title, column) => (
              <th key={title} scope="col" class={isNumber(column) ? 'number' : undefined}>
                {title.replace(/^#/, '')}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((cells, row) => (
            <tr key={row}>
              {cells.map((cell, column) => (
                <td key={column} class={isNumber(column) ? 'number' : undefined}>
                  {typeof cell === 'number' ? number(cell) : cell}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

const age = (moment: string): string => `${span(Math.max(0, (Date.now() - Date.parse(moment)) / 1_000))} ago`;
