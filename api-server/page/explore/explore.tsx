/** Explore: search a collection, see what was found and how it is spread, and narrow it down. All of it is in the URL. */
import { useEffect, useRef, useState } from 'preact/hooks';
import { announce } from '../foundation/announce.js';
import type { RefusedError, UnreachableError } from '../foundation/api.js';
import { knownError, useLoaded } from '../foundation/loading.js';
import { Loaded, ProblemNotice } from '../foundation/notices.js';
import { go, href, place } from '../foundation/place.js';
import { count, number } from '../foundation/words.js';
import { NewDocset } from '../docsets/new-docset.js';
import { exploreCollection, type Explored } from './collection.js';
import { Fields } from './fields.js';
import { find, type Found } from './found.js';
import { Histogram } from './histogram.js';
import { overviewOf, type Overview } from './overview.js';
import { QueryForPrograms } from './query-for-programs.js';
import { Results } from './results.js';
import { stepFor } from './steps.js';
import {
  EVERYTHING,
  SORTS,
  hasWords,
  inWords,
  isEverything,
  queryOf,
  readWish,
  sortOf,
  toggled,
  writeWish,
  type Query,
  type Sort,
  type Wish,
} from './wish.js';

/** Milliseconds after the last key stroke. */
const TYPING_PAUSE = 50;
/** Milliseconds for which somebody who types on is given way. */
const GIVING_WAY = 100;
const FEW_VALUES = 8;
const MANY_VALUES = 100;

export function Explore({ collection }: { collection: string }) {
  const loading = useLoaded(collection, () => exploreCollection(collection));
  return (
    <Loaded of={loading} what="the collection" heading="Explore">
      {(explored) => <Exploring explored={explored} />}
    </Loaded>
  );
}

/** What was found, and for what: while the next question is under way, both are still those of the last one. */
interface Answered {
  about: string;
  wish: Wish;
  query: Query;
  sort: Sort;
  found: Found;
}

/** What was found last, so that coming back to it shows it at once, where it was left. */
let last: Answered | undefined;

function Exploring({ explored }: { explored: Explored }) {
  const { collection, dateField } = explored;
  const wish = readWish(place().query);
  const query = queryOf(wish, dateField);
  const sort = sortOf(wish);
  const about = JSON.stringify([collection.id, query, sort]);
  const [answered, setAnswered] = useState<Answered | undefined>(last?.about === about ? last : undefined);
  const [failure, setFailure] = useState<RefusedError | UnreachableError>();
  const [tries, setTries] = useState(0);
  const [isSaving, setSaving] = useState(false);

  const change = (next: Wish, { replace = false } = {}): void =>
    go(href(`/collections/${collection.id}`, writeWish(next)), { replace });

  useEffect(() => {
    if (last?.about === about) {
      setAnswered(last);
      return;
    }
    const abort = new AbortController();
    find({ collection: collection.id, query, sort, hasWords: hasWords(wish), signal: abort.signal }).then(
      (found) => {
        if (abort.signal.aborted) return;
        last?.found.close();
        last = { about, wish, query, sort, found };
        setFailure(undefined);
        setAnswered(last);
        announce(`${count(found.hits, 'document')} ${inWords(wish)}`);
      },
      (error: unknown) => {
        if (!abort.signal.aborted) setFailure(knownError(error));
      },
    );
    return () => abort.abort();
  }, [about, tries]);

  return (
    <div class="explore">
      <header class="explore-head">
        <h1 tabIndex={-1} dir="auto">
          {collection.name}
        </h1>
        {collection.description !== null && (
          <p class="hint" dir="auto">
            {collection.description}
          </p>
        )}
        <SearchBox text={wish.text} onText={(text) => change({ ...wish, text }, { replace: true })} />
      </header>
      <NarrowDown explored={explored} wish={wish} answered={answered?.wish} change={change} />
      <section class="results" aria-labelledby="found" aria-busy={answered?.about !== about}>
        {failure !== undefined && <ProblemNotice error={failure} again={() => setTries(tries + 1)} />}
        {answered !== undefined && (
          <Answer
            of={answered}
            collection={collection.id}
            change={(some) => change({ ...wish, ...some })}
            onSave={() => setSaving(true)}
          />
        )}
      </section>
      {isSaving && answered !== undefined && (
        <NewDocset
          collection={collection.id}
          query={answered.query}
          documents={answered.found.hits}
          suggestion={isEverything(answered.wish) ? collection.name : inWords(answered.wish).replace(/^matching /, '')}
          onClose={() => setSaving(false)}
        />
      )}
    </div>
  );
}

interface AnswerProps {
  of: Answered;
  collection: string;
  /** Of what is looked for now, which may be something else already. */
  change: (some: Partial<Wish>) => void;
  onSave: () => void;
}

/** How many documents there are, what can be done with all of them, and their list. */
function Answer({ of: { about, wish, query, sort, found }, collection, change, onSave }: AnswerProps) {
  return (
    <>
      <div class="results-head">
        <h2 id="found" tabIndex={-1}>
          {count(found.hits, 'document')} <span class="in-words">{inWords(wish)}</span>
        </h2>
        <div class="actions">
          {!isEverything(wish) && (
            <button type="button" class="quiet" onClick={() => change(EVERYTHING)}>
              Start over
            </button>
          )}
          <label class="sort">
            <span class="unseen">Order</span>
            <select value={sort} onChange={({ currentTarget }) => change({ sort: currentTarget.value as Sort })}>
              {SORTS.filter((each) => each.sort !== 'relevance' || hasWords(wish)).map((each) => (
                <option key={each.sort} value={each.sort}>
                  {each.label}
                </option>
              ))}
            </select>
          </label>
          {found.hits > 0 && (
            <button type="button" class="primary" onClick={onSave}>
              Make a docset of {found.hits === 1 ? 'it' : `these ${number(found.hits)}`}
            </button>
          )}
        </div>
      </div>
      {found.ranked !== undefined && found.ranked < found.hits && (
        <p class="hint">{number(found.ranked)} of them were ranked, and are listed; in any other order all are.</p>
      )}
      <QueryForPrograms programmed={{ origin: location.origin, collection, query, sort }} />
      {found.hits === 0 ? (
        <p class="lead nothing">Nothing matches. Fewer words, or fewer restrictions, find more.</p>
      ) : (
        <Results key={about} found={found} hasWords={hasWords(wish)} />
      )}
    </>
  );
}

function SearchBox({ text, onText }: { text: string; onText: (text: string) => void }) {
  const input = useRef<HTMLInputElement>(null);
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  // What the URL says is shown, unless the user is typing on.
  useEffect(() => {
    if (input.current !== null && input.current.value !== text && timer.current === undefined)
      input.current.value = text;
  }, [text]);
  useEffect(() => () => clearTimeout(timer.current), []);
  const tell = (): void => {
    clearTimeout(timer.current);
    timer.current = undefined;
    if (input.current !== null) onText(input.current.value);
  };
  return (
    <form
      role="search"
      class="search-box"
      onSubmit={(event) => {
        event.preventDefault();
        tell();
      }}
    >
      <label for="search">Search the texts</label>
      <input
        ref={input}
        id="search"
        type="search"
        placeholder="Search the texts"
        dir="auto"
        autocomplete="off"
        spellcheck={false}
        maxLength={1000}
        defaultValue={text}
        aria-describedby="search-hint"
        onInput={() => {
          clearTimeout(timer.current);
          timer.current = setTimeout(tell, TYPING_PAUSE);
        }}
      />
      <p id="search-hint" class="hint">
        Words, <kbd>"a phrase"</kbd>, <kbd>this or that</kbd>, <kbd>-without</kbd>
      </p>
      <a class="skip" href="#found">
        Skip to what was found
      </a>
    </form>
  );
}

interface NarrowDownProps {
  explored: Explored;
  wish: Wish;
  /** What was found last: how it is spread is asked after it is there, so that it does not wait for that. */
  answered: Wish | undefined;
  change: (wish: Wish) => void;
}

/** The histogram and the facets. On narrow screens they are folded away. */
function NarrowDown({ explored, wish, answered, change }: NarrowDownProps) {
  const { collection, dateField } = explored;
  const [isOpen, setOpen] = useState(false);
  const [widened, setWidened] = useState<readonly string[]>([]);
  const [overview, setOverview] = useState<Overview>();
  const years = collection.years.map(({ year }) => year);
  const bounds = { min: Math.min(...years), max: Math.max(...years) };
  const step = stepFor(bounds);
  const about = JSON.stringify([collection.id, answered && { ...answered, sort: '' }, widened]);
  useEffect(() => {
    if (answered === undefined) return;
    const abort = new AbortController();
    const sizeOf = (field: string): number => (widened.includes(field) ? MANY_VALUES : FEW_VALUES);
    const ask = async (): Promise<void> => {
      try {
        const next = await overviewOf({ explored, wish: answered, sizeOf, step }, abort.signal);
        if (!abort.signal.aborted) setOverview(next);
      } catch (error) {
        // What is wrong with the query is told where its results would be.
        if (!abort.signal.aborted) knownError(error);
      }
    };
    const timer = setTimeout(() => void ask(), overview === undefined ? 0 : GIVING_WAY);
    return () => {
      clearTimeout(timer);
      abort.abort();
    };
  }, [about]);
  return (
    <aside class="narrow-down" aria-label="Narrow down">
      <button
        type="button"
        class="narrow-down-toggle"
        aria-expanded={isOpen}
        aria-controls="facets"
        onClick={() => setOpen(!isOpen)}
      >
        {isOpen ? 'Hide years and fields' : 'Years and fields'}
      </button>
      <div id="facets" class={isOpen ? 'facets open' : 'facets'}>
        {years.length > 0 && (
          <Histogram
            bounds={bounds}
            step={step}
            documents={overview?.years ?? new Map<number, number>()}
            from={wish.from}
            to={wish.to}
            onRange={dateField === undefined ? undefined : (from, to) => change({ ...wish, from, to })}
          />
        )}
        <Fields
          fields={explored.facets}
          overview={overview}
          chosen={wish.values}
          onToggle={(field, value) => change(toggled(wish, field, value))}
          widened={widened}
          onWiden={(field) => setWidened([...widened, field])}
        />
      </div>
    </aside>
  );
}
