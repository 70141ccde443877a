/** The archive: downloading it, knowing that it is right, opening it, citing it. */
import { useState } from 'preact/hooks';
import { announce } from '../foundation/announce.js';
import {
  RefusedError,
  api,
  bodyOf,
  fetchWithKey,
  refusedBy,
  type Schemas,
  type UnreachableError,
} from '../foundation/api.js';
import { CopyButton } from '../foundation/copy-button.js';
import { knownError, useLoaded } from '../foundation/loading.js';
import { Loaded, ProblemNotice } from '../foundation/notices.js';
import { bytes, when } from '../foundation/words.js';
import { AskAgain } from './ask-again.js';
import { parametersOf, type Dump, type DumpAddress } from './dump-address.js';
import { checkingCode, openingCode } from './opening-code.js';

type Link = Schemas['ArchiveLink'];

export function Take({ dump, address, again }: { dump: Dump; address: DumpAddress; again: () => void }) {
  const filename = `docset-${address.docset}-${dump.formats.join('-')}${dump.since === null ? '' : '-delta'}.${dump.container}`;
  const [isGone, setGone] = useState(false);
  if (isGone) {
    return (
      <>
        <div role="alert" class="notice problem">
          <p class="notice-title">The archive is gone</p>
          <p>It is no longer in the store. The docset is still what it was: the same dump can be made again.</p>
          <AskAgain address={address} again={again} force />
        </div>
        <Citation docset={address.docset} dump={dump.id} />
      </>
    );
  }
  return (
    <>
      <Download dump={dump} address={address} gone={() => setGone(true)} filename={filename} />
      <Checksum dump={dump} filename={filename} />
      <Opening filename={filename} container={dump.container} formats={dump.formats} />
      <Citation docset={address.docset} dump={dump.id} />
    </>
  );
}

function Download({
  dump,
  address,
  gone,
  filename,
}: {
  dump: Dump;
  address: DumpAddress;
  gone: () => void;
  filename: string;
}) {
  const [state, setState] = useState<{ link?: Link; error?: RefusedError | UnreachableError; isFetching: boolean }>({
    isFetching: false,
  });
  const download = async (): Promise<void> => {
    setState({ isFetching: true });
    try {
      const link = await bodyOf(api.GET('/docsets/{docset}/dump/archive/link', { params: parametersOf(address) }));
      follow(link.href);
      announce('The download begins.');
      setState({ link, isFetching: false });
    } catch (error) {
      const known = knownError(error);
      setState({ error: known, isFetching: false });
      if (known instanceof RefusedError && known.code === 'archive-expired') gone();
    }
  };
  const { error, link, isFetching } = state;
  const size = dump.archive?.size ?? null;
  return (
    <section class="take" aria-labelledby="take-heading">
      <h2 id="take-heading">Download</h2>
      {error !== undefined && <ProblemNotice error={error} />}
      <p class="actions">
        <button type="button" class="primary" disabled={isFetching} onClick={() => void download()}>
          Download {filename}
          {size !== null && ` (${bytes(size)})`}
        </button>
        {dump.expires !== null && <span class="hint">Kept until {when(dump.expires)}.</span>}
      </p>
      {link !== undefined && (
        <p>
          It should have begun. If not: <a href={link.href}>the archive</a>
          {link.expires !== null && `, by a link that is good until ${when(link.expires)}`}. A download that breaks off
          can be resumed in the browser’s list of downloads until then; after that, come back here for another link.
        </p>
      )}
    </section>
  );
}

/** The answer says that it is an attachment, so that the browser stays where it is. */
function follow(href: string): void {
  const anchor = document.createElement('a');
  anchor.href = href;
  anchor.rel = 'noreferrer';
  document.body.append(anchor);
  anchor.click();
  anchor.remove();
}

function Checksum({ dump, filename }: { dump: Dump; filename: string }) {
  const sha256 = dump.archive?.sha256;
  if (sha256 === undefined || sha256 === null) {
    return <p class="hint">The packager did not tell a checksum of this archive.</p>;
  }
  return (
    <section aria-labelledby="checksum-heading">
      <h2 id="checksum-heading">Is it whole?</h2>
      <p>Its SHA-256 must be</p>
      <div class="with-copy">
        <code class="digest">{sha256}</code>
        <CopyButton text={sha256} label="Copy" what="The checksum" />
      </div>
      <details>
        <summary>How to check it</summary>
        {checkingCode(filename, sha256).map(({ where, code }) => (
          <div key={where} class="snippet">
            <h3>{where}</h3>
            <div class="with-copy">
              <pre>{code}</pre>
              <CopyButton text={code} label="Copy" what={`The command for ${where}`} />
            </div>
          </div>
        ))}
        <p>
          Inside is a BagIt bag: <code>sha256sum -c manifest-sha256.txt</code> in its folder checks every single file.
        </p>
      </details>
    </section>
  );
}

function Opening({
  filename,
  container,
  formats,
}: {
  filename: string;
  container: Dump['container'];
  formats: string[];
}) {
  const codes = openingCode(filename, container, formats);
  const [shown, setShown] = useState(codes[0]?.language);
  const code = codes.find(({ language }) => language === shown)?.code ?? '';
  return (
    <section aria-labelledby="opening-heading">
      <h2 id="opening-heading">Open it</h2>
      <Switch
        name="opening"
        label="Language"
        options={codes.map(({ language }) => language)}
        chosen={shown}
        choose={setShown}
      />
      <div class="with-copy">
        <pre class="code" tabIndex={0} role="region" aria-label="Code">
          {code}
        </pre>
        <CopyButton text={code} label="Copy" what="The code" />
      </div>
    </section>
  );
}

const CITATIONS = {
  Text: { format: 'text', extension: 'txt' },
  BibTeX: { format: 'bibtex', extension: 'bib' },
  RIS: { format: 'ris', extension: 'ris' },
} as const;
type CitationName = keyof typeof CITATIONS;

export function Citation({ docset, dump }: { docset: string; dump?: string }) {
  const [name, setName] = useState<CitationName>('Text');
  const { format, extension } = CITATIONS[name];
  const citation = useLoaded(`${docset} ${dump ?? ''} ${format}`, (signal) =>
    loadCitation(docset, dump, format, signal),
  );
  return (
    <section aria-labelledby="citation-heading">
      <h2 id="citation-heading">Cite it</h2>
      <Switch
        name="citation"
        label="Form"
        options={Object.keys(CITATIONS) as CitationName[]}
        chosen={name}
        choose={setName}
      />
      <Loaded of={citation} what="the citation">
        {(text) => (
          <div class="with-copy">
            <pre dir="auto">{text}</pre>
            <span class="actions">
              <CopyButton text={text} label="Copy" what="The citation" />
              <button
                type="button"
                class="quiet"
                onClick={() => saveText(text, `docset-${docset}.${extension}`)}
                aria-label={`Save the citation as ${name}`}
              >
                Save
              </button>
            </span>
          </div>
        )}
      </Loaded>
    </section>
  );
}

async function loadCitation(
  docset: string,
  dump: string | undefined,
  format: string,
  signal: AbortSignal,
): Promise<string> {
  const query = new URLSearchParams({ format, ...(dump === undefined ? {} : { dump }) });
  const response = await fetchWithKey(new Request(`/api/docsets/${docset}/citation?${query.toString()}`, { signal }));
  if (!response.ok) throw refusedBy(response, await response.json().catch(() => undefined));
  return response.text();
}

function saveText(text: string, filename: string): void {
  const url = URL.createObjectURL(new Blob([text], { type: 'text/plain;charset=utf-8' }));
  const anchor = document.createElement('a');
  anchor.href = url;
  anchor.download = filename;
  document.body.append(anchor);
  anchor.click();
  anchor.remove();
  URL.revokeObjectURL(url);
}

/** One of a few, side by side. */
function Switch<Option extends string>({
  name,
  label,
  options,
  chosen,
  choose,
}: {
  name: string;
  label: string;
  options: readonly Option[];
  chosen: Option | undefined;
  choose: (option: Option) => void;
}) {
  return (
    <fieldset class="switch">
      <legend class="unseen">{label}</legend>
      {options.map((option) => (
        <label key={option}>
          <input type="radio" name={name} checked={option === chosen} onChange={() => choose(option)} />
          <span>{option}</span>
        </label>
      ))}
    </fieldset>
  );
}
