/** One document: what its catalogue says, its files, and its text. */
import { useState } from 'preact/hooks';
import {
  api,
  bodyOf,
  fetchWithKey,
  refusedBy,
  type RefusedError,
  type Schemas,
  type UnreachableError,
} from '../foundation/api.js';
import { CopyButton } from '../foundation/copy-button.js';
import { knownError, useLoaded } from '../foundation/loading.js';
import { Loaded, ProblemNotice } from '../foundation/notices.js';
import { bytes } from '../foundation/words.js';
import { CollectionName } from './collection-name.js';

type Document = Schemas['Document'];

/** So much of a text is read at a time, in bytes. */
const PORTION = 256 * 1024;

export function DocumentView({ id }: { id: string }) {
  const loading = useLoaded(id, (signal) =>
    bodyOf(api.GET('/documents/{document}', { params: { path: { document: id } }, signal })),
  );
  return (
    <div class="column document">
      <Loaded of={loading} what="the document" heading={`Document ${id}`}>
        {(document) => <Shown document={document} />}
      </Loaded>
    </div>
  );
}

function Shown({ document }: { document: Document }) {
  const { title, ref, creator, date, collection_url, metadata, formats, current } = document;
  return (
    <article>
      <p class="hint">
        <a href={collection_url}>
          <CollectionName id={collection_url.replace('/collections/', '')} />
        </a>
      </p>
      <h1 tabIndex={-1} dir="auto">
        {title ?? ref}
      </h1>
      <p class="lead by">
        {creator !== null && <bdi>{creator}</bdi>} {date !== null && <bdi>{date}</bdi>}
      </p>
      {!current && <p class="notice">This version was replaced. It is kept for the docsets that have it.</p>}
      <section aria-labelledby="metadata">
        <h2 id="metadata">Metadata</h2>
        <dl class="metadata">
          <Entry name="ref" value={ref} />
          {Object.entries(metadata)
            .filter(([name]) => name !== 'title')
            .map(([name, value]) => (
              <Entry key={name} name={name} value={value} />
            ))}
        </dl>
      </section>
      <section aria-labelledby="files">
        <h2 id="files">Files</h2>
        <Files document={document} />
      </section>
      {formats.some(({ format }) => format === 'txt') && <Text document={document} />}
    </article>
  );
}

function Entry({ name, value }: { name: string; value: unknown }) {
  const text = typeof value === 'string' ? value : JSON.stringify(value, undefined, 1);
  return (
    <div class="entry">
      <dt dir="auto">{name}</dt>
      <dd dir="auto">{text}</dd>
    </div>
  );
}

function Files({ document: { id, ref, formats } }: { document: Document }) {
  const [busy, setBusy] = useState<string>();
  const [failure, setFailure] = useState<RefusedError | UnreachableError>();
  const save = async (format: string): Promise<void> => {
    setBusy(format);
    setFailure(undefined);
    try {
      const response = await readFile(id, format);
      saveAs(
        await response.blob(),
        `${ref.replaceAll(/[^\p{L}\p{N}._-]+/gu, '-')}.${format === 'meta' ? 'json' : format}`,
      );
    } catch (error) {
      setFailure(knownError(error));
    } finally {
      setBusy(undefined);
    }
  };
  return (
    <>
      <ul class="files">
        {formats.map(({ format, media_type: mediaType, size, sha256 }) => (
          <li key={format} class="file">
            <button type="button" onClick={() => void save(format)} disabled={busy !== undefined}>
              {busy === format ? 'Coming …' : `Save ${format}`}
            </button>
            <span>
              {bytes(size)} <span class="hint">{mediaType}</span>
            </span>
            <CopyButton text={sha256} label="Copy SHA-256" what="The digest" />
          </li>
        ))}
      </ul>
      {failure !== undefined && <ProblemNotice error={failure} />}
    </>
  );
}

/** Each read counts as a document of the quota, so it is the user who asks for it. */
function Text({ document: { id, formats } }: { document: Document }) {
  const size = formats.find(({ format }) => format === 'txt')?.size ?? 0;
  const [parts, setParts] = useState<readonly string[]>([]);
  const [end, setEnd] = useState(0);
  const [isReading, setReading] = useState(false);
  const [failure, setFailure] = useState<RefusedError | UnreachableError>();
  const [decoder] = useState(() => new TextDecoder());
  const readOn = async (): Promise<void> => {
    setReading(true);
    setFailure(undefined);
    try {
      const response = await readFile(id, 'txt', size > PORTION ? { Range: `bytes=${end}-${end + PORTION - 1}` } : {});
      const portion = await response.arrayBuffer();
      // A character may lie on both sides of the cut.
      setParts([...parts, decoder.decode(portion, { stream: end + portion.byteLength < size })]);
      setEnd(end + portion.byteLength);
    } catch (error) {
      setFailure(knownError(error));
    } finally {
      setReading(false);
    }
  };
  return (
    <section aria-labelledby="text">
      <h2 id="text">Text</h2>
      {parts.length > 0 && (
        <div class="text" dir="auto" tabIndex={0} role="group" aria-label="What it says">
          {parts.map((part, index) => (
            <span key={index}>{part}</span>
          ))}
        </div>
      )}
      {failure !== undefined && <ProblemNotice error={failure} />}
      {end < size && (
        <button type="button" onClick={() => void readOn()} disabled={isReading}>
          {isReading
            ? 'Reading …'
            : end === 0
              ? `Read the text, ${bytes(size)}`
              : `Read on, ${bytes(size - end)} are left`}
        </button>
      )}
    </section>
  );
}

/** @throws {RefusedError} @throws {UnreachableError} */
async function readFile(id: string, format: string, headers: Record<string, string> = {}): Promise<Response> {
  const response = await fetchWithKey(new Request(`/api/documents/${id}/files/${format}`, { headers }));
  if (!response.ok) throw refusedBy(response, await response.json().catch(() => undefined));
  return response;
}

function saveAs(content: Blob, name: string): void {
  const url = URL.createObjectURL(content);
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  // The browser reads it after the click.
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
