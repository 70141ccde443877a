/** What a dump would be, before it is asked for: documents, bytes and time, for the formats that are chosen. */
import { useEffect, useState } from 'preact/hooks';
import { announce } from '../foundation/announce.js';
import { api, bodyOf, type RefusedError, type Schemas, type UnreachableError } from '../foundation/api.js';
import { knownError } from '../foundation/loading.js';
import { ProblemNotice } from '../foundation/notices.js';
import { bytes, count, span } from '../foundation/words.js';

export type Container = Schemas['Dump']['container'];

/** Which dump. */
export interface DumpWish {
  /** At least one. */
  formats: readonly string[];
  archive: Container;
  /** Id of an earlier dump. */
  since?: string | undefined;
}

const CONTAINERS: readonly { container: Container; label: string }[] = [
  { container: 'zip', label: 'zip' },
  { container: 'tar.gz', label: 'tar.gz, smaller where documents are alike' },
];

interface ChooseFormatsProps {
  /** Those that the collection has. */
  formats: readonly string[];
  wish: DumpWish;
  onWish: (wish: DumpWish) => void;
}

export function ChooseFormats({ formats, wish, onWish }: ChooseFormatsProps) {
  const toggle = (format: string): void => {
    const others = wish.formats.includes(format)
      ? wish.formats.filter((each) => each !== format)
      : [...wish.formats, format];
    onWish({ ...wish, formats: formats.filter((each) => others.includes(each)) });
  };
  return (
    <>
      <fieldset class="options">
        <legend>Formats</legend>
        {formats.map((format) => (
          <label key={format} class="option">
            <input type="checkbox" checked={wish.formats.includes(format)} onChange={() => toggle(format)} />
            {format} {format === 'meta' && <span class="hint">the metadata, as JSON-LD</span>}
          </label>
        ))}
      </fieldset>
      <fieldset class="options">
        <legend>In one archive</legend>
        {CONTAINERS.map(({ container, label }) => (
          <label key={container} class="option">
            <input
              type="radio"
              name="archive"
              checked={wish.archive === container}
              onChange={() => onWish({ ...wish, archive: container })}
            />
            {label}
          </label>
        ))}
      </fieldset>
    </>
  );
}

/** Asks anew for every wish; the last answer stays until the next has come. */
export function Estimate({ docset, wish }: { docset: string; wish: DumpWish }) {
  const [estimate, setEstimate] = useState<Schemas['DumpEstimate']>();
  const [failure, setFailure] = useState<RefusedError | UnreachableError>();
  const about = JSON.stringify([docset, wish]);
  useEffect(() => {
    if (wish.formats.length === 0) return;
    const abort = new AbortController();
    const query = {
      fmt: wish.formats.join(','),
      archive: wish.archive,
      ...(wish.since !== undefined && { since: wish.since }),
    };
    const params = { path: { docset }, query };
    bodyOf(api.GET('/docsets/{docset}/dump/estimate', { params, signal: abort.signal })).then(
      (answer) => {
        if (abort.signal.aborted) return;
        setFailure(undefined);
        setEstimate(answer);
        announce(`${count(answer.documents, 'document')}, ${bytes(answer.bytes.archive)}.`);
      },
      (error: unknown) => {
        if (!abort.signal.aborted) setFailure(knownError(error));
      },
    );
    return () => abort.abort();
  }, [about]);
  if (wish.formats.length === 0) return <p class="hint">Choose at least one format.</p>;
  if (failure !== undefined) return <ProblemNotice error={failure} />;
  if (estimate === undefined) return <p class="waiting">Estimating …</p>;
  const missing = estimate.by_format.filter((each) => each.missing > 0);
  return (
    <>
      <dl class="estimate">
        <Figure name="Documents" value={estimate.documents.toLocaleString('en')} />
        <Figure name="Archive" value={`about ${bytes(estimate.bytes.archive)}`} />
        <Figure name="Unpacked" value={bytes(estimate.bytes.content)} />
        <Figure name="Takes" value={estimate.seconds === null ? 'not known yet' : span(estimate.seconds)} />
      </dl>
      {missing.map((each) => (
        <p key={each.format} class="hint">
          {count(each.missing, 'document')} {each.missing === 1 ? 'has' : 'have'} no {each.format}, and will be listed
          as omitted.
        </p>
      ))}
    </>
  );
}

const Figure = ({ name, value }: { name: string; value: string }) => (
  <div class="figure">
    <dt>{name}</dt>
    <dd>{value}</dd>
  </div>
);
