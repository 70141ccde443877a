/** One docset: what it is, and what is in it. */
import { useState } from 'preact/hooks';
import { announce } from '../foundation/announce.js';
import {
  api,
  bodyOf,
  nextCursor,
  refusedBy,
  type RefusedError,
  type Schemas,
  type UnreachableError,
} from '../foundation/api.js';
import { Dialog } from '../foundation/dialog.js';
import { knownError, useLoaded } from '../foundation/loading.js';
import { Loaded, ProblemNotice } from '../foundation/notices.js';
import { go } from '../foundation/place.js';
import { count, when } from '../foundation/words.js';
import { json } from '../explore/as-code.js';
import { CollectionName } from '../explore/collection-name.js';
import { nameOf, type Docset } from './docset-name.js';
import { NameForm } from './new-docset.js';

export function DocsetView({ id }: { id: string }) {
  const loading = useLoaded(id, (signal) =>
    bodyOf(api.GET('/docsets/{docset}', { params: { path: { docset: id } }, signal })),
  );
  return (
    <div class="column docset">
      <Loaded of={loading} what="the docset" heading={`Docset ${id}`}>
        {(docset) => <Shown docset={docset} onChanged={loading.again} />}
      </Loaded>
    </div>
  );
}

function Shown({ docset, onChanged }: { docset: Docset; onChanged: () => void }) {
  const { id, description, documents, unknown, collection, created, query, generator } = docset;
  const [dialog, setDialog] = useState<'names' | 'delete'>();
  const close = (): void => setDialog(undefined);
  return (
    <article>
      <p class="hint">
        <a href="/docsets">Docsets</a>
      </p>
      <h1 tabIndex={-1} dir="auto">
        {nameOf(docset)}
      </h1>
      {description !== null && (
        <p class="lead described" dir="auto">
          {description}
        </p>
      )}
      <p class="facts">
        {count(documents, 'document')} of{' '}
        <a href={`/collections/${collection}`}>
          <CollectionName id={collection} />
        </a>
        , fixed {when(created)}
        {unknown > 0 && `; ${count(unknown, 'name')} in the list led to no document`}
      </p>
      <div class="actions">
        <a class="button" href={`/docsets/${id}/dump`}>
          Ask for a dump
        </a>
        <button type="button" onClick={() => setDialog('names')}>
          Change the name
        </button>
        <button type="button" class="quiet" onClick={() => setDialog('delete')}>
          Delete
        </button>
      </div>
      <p class="hint">A dump is one archive of these documents, to download, to study, and to cite.</p>
      <details class="programs">
        <summary>How it was made</summary>
        <pre dir="ltr" tabIndex={0} aria-label="How it was made">
          {query === null || query === undefined ? generator : json(query)}
        </pre>
      </details>
      <Members docset={id} />
      {dialog === 'names' && (
        <Dialog title="Change the name" onClose={close}>
          <NameForm
            suggestion={docset.name ?? ''}
            description={description ?? ''}
            action="Change"
            submit={async ({ name, description: about }) => {
              const body = { ...(name !== undefined && { name }), description: about ?? null };
              await bodyOf(api.PATCH('/docsets/{docset}', { params: { path: { docset: id } }, body }));
              close();
              onChanged();
            }}
          />
        </Dialog>
      )}
      {dialog === 'delete' && <Delete docset={docset} onClose={close} />}
    </article>
  );
}

function Delete({ docset, onClose }: { docset: Docset; onClose: () => void }) {
  const [failure, setFailure] = useState<RefusedError | UnreachableError>();
  const run = async (): Promise<void> => {
    try {
      await bodyOf(api.DELETE('/docsets/{docset}', { params: { path: { docset: docset.id } } }));
      announce('The docset is deleted.');
      go('/docsets');
    } catch (error) {
      setFailure(knownError(error));
    }
  };
  return (
    <Dialog title="Delete the docset?" onClose={onClose}>
      <p>
        The list of <bdi>{nameOf(docset)}</bdi> goes, and its dumps with it. The documents stay in the collection.
      </p>
      {failure !== undefined && <ProblemNotice error={failure} />}
      <div class="actions">
        <button type="button" class="danger" onClick={() => void run()}>
          Delete it
        </button>
        <button type="button" onClick={onClose}>
          Keep it
        </button>
      </div>
    </Dialog>
  );
}

const MEMBERS = 50;
type Member = Schemas['Member'];

function Members({ docset }: { docset: string }) {
  const [members, setMembers] = useState<readonly Member[]>([]);
  const [next, setNext] = useState<string | undefined>('');
  const [failure, setFailure] = useState<RefusedError | UnreachableError>();
  const more = async (): Promise<void> => {
    setFailure(undefined);
    try {
      const query = { limit: MEMBERS, ...(next !== undefined && next !== '' && { cursor: next }) };
      const params = { path: { docset }, query };
      const { data, error, response } = await api.GET('/docsets/{docset}/members', { params });
      // As JSON, and not as the lines that programs ask for.
      if (data === undefined || typeof data === 'string') throw refusedBy(response, error);
      setMembers([...members, ...data.members]);
      setNext(nextCursor(response));
    } catch (error) {
      setFailure(knownError(error));
    }
  };
  return (
    <section aria-labelledby="members">
      <h2 id="members">Its documents</h2>
      <ul class="members">
        {members.map(({ id, ref, title }) => (
          <li key={id}>
            <a href={`/documents/${id}`} dir="auto">
              {title ?? ref}
            </a>{' '}
            <bdi class="hint ref">{ref}</bdi>
          </li>
        ))}
      </ul>
      {failure !== undefined && <ProblemNotice error={failure} />}
      {next !== undefined && (
        <button type="button" onClick={() => void more()}>
          {members.length === 0 ? 'Show them' : 'Show more'}
        </button>
      )}
    </section>
  );
}
