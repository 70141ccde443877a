/** Several docsets become one: all of their documents, those that they share, or what one has and the others have not. */
import { useState } from 'preact/hooks';
import { announce } from '../foundation/announce.js';
import { api, bodyOf, type Schemas } from '../foundation/api.js';
import { go } from '../foundation/place.js';
import { count, list, number } from '../foundation/words.js';
import { nameOf, type Docset } from './docset-name.js';
import { NameForm } from './new-docset.js';

const WAYS = {
  union: { label: 'All of their documents', name: (names: readonly string[]) => list(names) },
  intersect: { label: 'Those that are in each of them', name: (names: readonly string[]) => `Both ${list(names)}` },
  minus: {
    label: 'Those of one that are not in the others',
    name: ([first = '', ...others]: readonly string[]) => `${first} without ${list(others)}`,
  },
} as const;
type Way = keyof typeof WAYS;

export function Combine({ docsets, onMade }: { docsets: readonly Docset[]; onMade: () => void }) {
  const [way, setWay] = useState<Way>('union');
  const [firstId, setFirstId] = useState(docsets[0]?.id ?? '');
  const ordered = [...docsets].sort((one, other) => Number(other.id === firstId) - Number(one.id === firstId));
  const names = (way === 'minus' ? ordered : docsets).map(nameOf);
  const collections = new Set(docsets.map(({ collection }) => collection));
  if (collections.size > 1) {
    return (
      <p class="notice" role="status">
        These are of {number(collections.size)} collections: only docsets of the same collection can be combined.
      </p>
    );
  }
  const ids = ordered.map(({ id }) => id);
  const wishes: Record<Way, Schemas['NewDocset']> = {
    union: { union: ids },
    intersect: { intersect: ids },
    minus: { minus: ids },
  };
  return (
    <section class="combine" aria-labelledby="combine">
      <h2 id="combine">Make a new one of these {number(docsets.length)}</h2>
      <fieldset class="picks">
        <legend>It will have</legend>
        {(Object.keys(WAYS) as Way[]).map((each) => (
          <label key={each} class="pick">
            <input type="radio" name="way" checked={way === each} onChange={() => setWay(each)} />
            <span>{WAYS[each].label}</span>
          </label>
        ))}
      </fieldset>
      {way === 'minus' && (
        <fieldset class="picks">
          <legend>The documents of</legend>
          {docsets.map((docset) => (
            <label key={docset.id} class="pick">
              <input type="radio" name="first" checked={docset.id === firstId} onChange={() => setFirstId(docset.id)} />
              <span>
                <bdi>{nameOf(docset)}</bdi> <span class="hint">{count(docset.documents, 'document')}</span>
              </span>
            </label>
          ))}
        </fieldset>
      )}
      <NameForm
        key={`${way} ${firstId}`}
        suggestion={WAYS[way].name(names)}
        action="Make it"
        submit={async (given) => {
          const docset = await bodyOf(api.POST('/docsets', { body: { ...given, ...wishes[way] } }));
          onMade();
          announce(`The docset has ${count(docset.documents, 'document')}.`);
          go(`/docsets/${docset.id}`);
        }}
      />
    </section>
  );
}
