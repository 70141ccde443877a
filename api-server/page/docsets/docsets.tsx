/** The miner's docsets, and new ones made of them. */
import { useState } from 'preact/hooks';
import { announce } from '../foundation/announce.js';
import { api, nextCursor, refusedBy, type RefusedError, type UnreachableError } from '../foundation/api.js';
import { knownError, useLoaded } from '../foundation/loading.js';
import { Loaded, ProblemNotice } from '../foundation/notices.js';
import { count, number, when } from '../foundation/words.js';
import { CollectionName } from '../explore/collection-name.js';
import { Combine } from './combine.js';
import { nameOf, type Docset } from './docset-name.js';

const PAGE = 100;

interface Page {
  docsets: Docset[];
  next: string | undefined;
}

async function askPage(cursor: string | undefined, signal?: AbortSignal): Promise<Page> {
  const query = { limit: PAGE, ...(cursor !== undefined && { cursor }) };
  const { data, error, response } = await api.GET('/docsets', {
    params: { query },
    ...(signal !== undefined && { signal }),
  });
  if (data === undefined) throw refusedBy(response, error);
  return { docsets: data.docsets, next: nextCursor(response) };
}

export function Docsets() {
  const loading = useLoaded('docsets', (signal) => askPage(undefined, signal));
  return (
    <div class="docsets">
      <h1 tabIndex={-1}>Docsets</h1>
      <Loaded of={loading} what="your docsets">
        {(first) =>
          first.docsets.length === 0 ? (
            <p class="lead">
              There is none yet. <a href="/">Search a collection</a>, and fix what you find as a docset.
            </p>
          ) : (
            <Choosing first={first} again={loading.again} />
          )
        }
      </Loaded>
    </div>
  );
}

function Choosing({ first, again }: { first: Page; again: () => void }) {
  const [pages, setPages] = useState<readonly Page[]>([first]);
  const [chosen, setChosen] = useState<readonly string[]>([]);
  const [failure, setFailure] = useState<RefusedError | UnreachableError>();
  const docsets = pages.flatMap((page) => page.docsets);
  const next = pages.at(-1)?.next;
  const more = async (): Promise<void> => {
    setFailure(undefined);
    try {
      const page = await askPage(next);
      setPages([...pages, page]);
      announce(`${count(docsets.length + page.docsets.length, 'docset')} listed.`);
    } catch (error) {
      setFailure(knownError(error));
    }
  };
  const toggle = (id: string): void =>
    setChosen(chosen.includes(id) ? chosen.filter((each) => each !== id) : [...chosen, id]);
  const some = chosen.flatMap((id) => docsets.filter((docset) => docset.id === id));
  return (
    <>
      <p class="hint">Tick two or more of one collection to make another docset of them.</p>
      <table class="docset-table">
        <thead>
          <tr>
            <th scope="col">
              <span class="unseen">Chosen</span>
            </th>
            <th scope="col">Name</th>
            <th scope="col">Collection</th>
            <th scope="col" class="number">
              Documents
            </th>
            <th scope="col">Made</th>
          </tr>
        </thead>
        <tbody>
          {docsets.map((docset) => (
            <tr key={docset.id}>
              <td>
                <label class="tick">
                  <input
                    type="checkbox"
                    aria-label={`Choose ${nameOf(docset)}`}
                    checked={chosen.includes(docset.id)}
                    onChange={() => toggle(docset.id)}
                  />
                </label>
              </td>
              <th scope="row">
                <a href={`/docsets/${docset.id}`} dir="auto">
                  {nameOf(docset)}
                </a>
              </th>
              <td>
                <CollectionName id={docset.collection} />
              </td>
              <td class="number">{number(docset.documents)}</td>
              <td class="made">{when(docset.created)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {failure !== undefined && <ProblemNotice error={failure} />}
      {next !== undefined && (
        <p>
          <button type="button" onClick={() => void more()}>
            Show more
          </button>
        </p>
      )}
      {some.length > 1 && <Combine key={chosen.join()} docsets={some} onMade={again} />}
    </>
  );
}
