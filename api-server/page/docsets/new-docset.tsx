/** A search becomes a docset. */
import { useState } from 'preact/hooks';
import { announce } from '../foundation/announce.js';
import { api, bodyOf, type RefusedError, type Schemas, type UnreachableError } from '../foundation/api.js';
import { Dialog } from '../foundation/dialog.js';
import { knownError } from '../foundation/loading.js';
import { ProblemNotice } from '../foundation/notices.js';
import { go } from '../foundation/place.js';
import { count } from '../foundation/words.js';

/** As openapi.yaml has it. */
export const LONGEST_NAME = 200;
export const LONGEST_DESCRIPTION = 10_000;

interface NewDocsetProps {
  collection: string;
  query: Schemas['Search']['query'];
  documents: number;
  /** A name that may be kept. */
  suggestion: string;
  onClose: () => void;
}

export function NewDocset({ collection, query, documents, suggestion, onClose }: NewDocsetProps) {
  return (
    <Dialog title="Make a docset" onClose={onClose}>
      <p>
        A docset keeps {documents === 1 ? 'this document' : `these ${count(documents, 'document')}`} as they are now, so
        that others can study the same ones. It never changes.
      </p>
      <NameForm
        suggestion={suggestion}
        action="Make it"
        submit={async (names) => {
          const docset = await bodyOf(api.POST('/docsets', { body: { ...names, collection, query } }));
          announce(`The docset has ${count(docset.documents, 'document')}.`);
          go(`/docsets/${docset.id}`);
        }}
      />
    </Dialog>
  );
}

export interface Names {
  name?: string;
  description?: string;
}

interface NameFormProps {
  suggestion: string;
  description?: string | undefined;
  /** What the button says. */
  action: string;
  /** What the form does; what it throws is told. */
  submit: (names: Names) => Promise<void>;
}

/** A name and a description, and one button. */
export function NameForm({ suggestion, description = '', action, submit }: NameFormProps) {
  const [name, setName] = useState(suggestion.slice(0, LONGEST_NAME));
  const [about, setAbout] = useState(description);
  const [isBusy, setBusy] = useState(false);
  const [failure, setFailure] = useState<RefusedError | UnreachableError>();
  const run = async (): Promise<void> => {
    setBusy(true);
    setFailure(undefined);
    try {
      await submit({
        ...(name.trim() !== '' && { name: name.trim() }),
        ...(about.trim() !== '' && { description: about.trim() }),
      });
    } catch (error) {
      setFailure(knownError(error));
    } finally {
      setBusy(false);
    }
  };
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        void run();
      }}
    >
      <div class="field">
        <label for="docset-name">Name</label>
        <input
          id="docset-name"
          dir="auto"
          maxLength={LONGEST_NAME}
          autocomplete="off"
          value={name}
          onInput={({ currentTarget }) => setName(currentTarget.value)}
        />
      </div>
      <div class="field">
        <label for="docset-description">
          Description <span class="hint">(optional)</span>
        </label>
        <textarea
          id="docset-description"
          dir="auto"
          rows={3}
          maxLength={LONGEST_DESCRIPTION}
          value={about}
          onInput={({ currentTarget }) => setAbout(currentTarget.value)}
        />
      </div>
      {failure !== undefined && <ProblemNotice error={failure} />}
      <button type="submit" class="primary" disabled={isBusy}>
        {isBusy ? 'Working …' : action}
      </button>
    </form>
  );
}
