/** Choosing what a dump is to have, with what it would come to, and asking for it. */
import { useId, useState } from 'preact/hooks';
import { announce } from '../foundation/announce.js';
import { api, bodyOf, type Schemas } from '../foundation/api.js';
import { knownError, useLoaded, type Loading } from '../foundation/loading.js';
import { Loaded, ProblemNotice } from '../foundation/notices.js';
import { go } from '../foundation/place.js';
import { bytes, count, list, number, span, when } from '../foundation/words.js';
import {
  addressOf,
  askForDump,
  docsetOf,
  pageOf,
  parametersOf,
  type Container,
  type Dump,
  type DumpAddress,
} from './dump-address.js';

type Docset = Schemas['Docset'];
type Collection = Schemas['Collection'];

/** What a dump can be made of and relative to. */
interface Choice {
  docset: Docset;
  collection: Collection;
  earlier: Dump[];
}

export function AskDumpView({ id }: { id: string }) {
  const choice = useLoaded(id, (signal) => loadChoice(id, signal));
  return (
    <div class="column">
      <Loaded of={choice} what="the docset" heading="Ask for a dump">
        {(loaded) => <Ask {...loaded} />}
      </Loaded>
    </div>
  );
}

async function loadChoice(id: string, signal: AbortSignal): Promise<Choice> {
  const docset = await bodyOf(api.GET('/docsets/{docset}', { params: { path: { docset: id } }, signal }));
  const params = { path: { collection: docset.collection } };
  const [collection, { dumps }, { docsets }] = await Promise.all([
    bodyOf(api.GET('/collections/{collection}', { params, signal })),
    bodyOf(api.GET('/dumps', { signal })),
    bodyOf(api.GET('/docsets', { signal })),
  ]);
  const siblings = new Set(docsets.filter((each) => each.collection === docset.collection).map((each) => each.id));
  const earlier = dumps.filter(
    (dump) => ['successful', 'expired'].includes(dump.status) && siblings.has(docsetOf(dump.docset)),
  );
  return { docset, collection, earlier };
}

function Ask({ docset, collection, earlier }: Choice) {
  const [formats, setFormats] = useState<readonly string[]>(usualFormats(collection));
  const [container, setContainer] = useState<Container>('zip');
  const [since, setSince] = useState<string>();
  const [asking, setAsking] = useState<'no' | 'yes' | ReturnType<typeof knownError>>('no');
  const address: DumpAddress = { docset: docset.id, formats, container, since };
  const estimate = useLoaded(JSON.stringify(address), (signal) => estimateOf(address, signal));
  const ask = async (event: Event): Promise<void> => {
    event.preventDefault();
    if (formats.length === 0) return;
    setAsking('yes');
    try {
      const dump = await askForDump(address);
      announce(dump.done ? 'The dump is there already.' : 'The dump was asked for.');
      go(pageOf(addressOf(dump)));
    } catch (error) {
      setAsking(knownError(error));
    }
  };
  return (
    <>
      <h1 tabIndex={-1}>Ask for a dump</h1>
      <p class="lead">
        Of{' '}
        <a dir="auto" href={`/docsets/${docset.id}`}>
          {docset.name ?? `docset ${docset.id}`}
        </a>
        , {count(docset.documents, 'document')}: everything in one archive, with a checksum for each file.
      </p>
      <form class="ask" onSubmit={(event) => void ask(event)}>
        <FormatChoice of={docset} collection={collection} chosen={formats} choose={setFormats} estimate={estimate} />
        <ContainerChoice chosen={container} choose={setContainer} />
        {earlier.length > 0 && <SinceChoice earlier={earlier} chosen={since} choose={setSince} formats={formats} />}
        <EstimateLine of={estimate} isEmpty={formats.length === 0} />
        {typeof asking === 'object' && <ProblemNotice error={asking} />}
        <p class="actions">
          <button type="submit" class="primary" disabled={formats.length === 0 || asking === 'yes'}>
            {asking === 'yes' ? 'Asking …' : 'Ask for the dump'}
          </button>
          <span class="hint">It is made while you do something else. You may close this page.</span>
        </p>
      </form>
    </>
  );
}

/** Metadata and texts, where there are any. */
function usualFormats({ documents_by_format: known }: Collection): string[] {
  const usual = ['meta', 'txt'].filter((format) => format in known);
  return usual.length > 0 ? usual : Object.keys(known).slice(0, 1);
}

type Estimate = Schemas['DumpEstimate'];

async function estimateOf(address: DumpAddress, signal: AbortSignal): Promise<Estimate | undefined> {
  if (address.formats.length === 0) return undefined;
  return bodyOf(api.GET('/docsets/{docset}/dump/estimate', { params: parametersOf(address), signal }));
}

const FORMAT_NAMES: Readonly<Record<string, string>> = {
  meta: 'Metadata (JSON-LD)',
  txt: 'Text',
  pdf: 'PDF',
  html: 'HTML',
  xml: 'XML',
  json: 'JSON',
};

function FormatChoice({
  of: docset,
  collection,
  chosen,
  choose,
  estimate,
}: {
  of: Docset;
  collection: Collection;
  chosen: readonly string[];
  choose: (formats: readonly string[]) => void;
  estimate: Loading<Estimate | undefined>;
}) {
  const formats = collection.formats.filter((format) => format in collection.documents_by_format);
  const toggle = (format: string): void =>
    choose(formats.filter((each) => (each === format ? !chosen.includes(each) : chosen.includes(each))));
  const found = estimate.state === 'loaded' ? estimate.value?.by_format : undefined;
  return (
    <fieldset>
      <legend>Formats</legend>
      <ul class="options">
        {formats.map((format) => {
          const counted = found?.find((each) => each.format === format);
          return (
            <li key={format}>
              <label>
                <input type="checkbox" checked={chosen.includes(format)} onChange={() => toggle(format)} />
                <span>{FORMAT_NAMES[format] ?? format}</span>
                <span class="hint">
                  {counted === undefined
                    ? `.${format}`
                    : counted.missing === 0
                      ? `all ${number(docset.documents)}`
                      : `${number(counted.files)}; ${count(counted.missing, 'document has', 'documents have')} none`}
                </span>
              </label>
            </li>
          );
        })}
      </ul>
      {chosen.length === 0 && <p class="fault">Choose at least one format.</p>}
    </fieldset>
  );
}

const CONTAINERS: readonly [Container, string, string][] = [
  ['zip', 'Zip', 'opens everywhere'],
  ['tar.gz', 'Gzipped tar', 'smaller where documents are alike; cannot be read in parts'],
];

function ContainerChoice({ chosen, choose }: { chosen: Container; choose: (container: Container) => void }) {
  return (
    <fieldset>
      <legend>Archive</legend>
      <ul class="options">
        {CONTAINERS.map(([container, name, hint]) => (
          <li key={container}>
            <label>
              <input type="radio" name="container" checked={chosen === container} onChange={() => choose(container)} />
              <span>{name}</span>
              <span class="hint">{hint}</span>
            </label>
          </li>
        ))}
      </ul>
    </fieldset>
  );
}

/** A dump can be relative to one that had all the formats. */
function SinceChoice({
  earlier,
  formats,
  chosen,
  choose,
}: {
  earlier: readonly Dump[];
  formats: readonly string[];
  chosen: string | undefined;
  choose: (since: string | undefined) => void;
}) {
  const id = useId();
  const fitting = earlier.filter((dump) => formats.every((format) => dump.formats.includes(format)));
  return (
    <div class="field">
      <label for={id}>How much</label>
      <select
        id={id}
        value={chosen ?? ''}
        onChange={(event) => choose(event.currentTarget.value === '' ? undefined : event.currentTarget.value)}
      >
        <option value="">All documents</option>
        {fitting.map((dump) => (
          <option key={dump.id} value={dump.id}>
            Only what changed since the dump of docset {docsetOf(dump.docset)}, {when(dump.created)} (
            {list(dump.formats)})
          </option>
        ))}
      </select>
      {fitting.length < earlier.length && (
        <p class="hint">Earlier dumps that lack one of the formats cannot be gone on from.</p>
      )}
    </div>
  );
}

function EstimateLine({ of: estimate, isEmpty }: { of: Loading<Estimate | undefined>; isEmpty: boolean }) {
  if (isEmpty) return null;
  switch (estimate.state) {
    case 'loading':
      return <p class="estimate waiting">Reckoning what it comes to …</p>;
    case 'failed':
      return <ProblemNotice error={estimate.error} />;
    case 'loaded': {
      if (estimate.value === undefined) return null;
      const { documents, bytes: size, seconds } = estimate.value;
      return (
        <p class="estimate" role="status">
          <strong>{count(documents, 'document')}</strong>, about <strong>{bytes(size.archive)}</strong> to download (
          {bytes(size.content)} unpacked)
          {seconds === null ? '.' : <>, made in {span(seconds)} once a packager has taken it.</>}
        </p>
      );
    }
  }
}
