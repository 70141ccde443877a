/** What is around every view: the head with the navigation, the foot, and what is read out. */
import { useEffect, useRef } from 'preact/hooks';
import { LiveRegion } from './foundation/announce.js';
import { api, bodyOf } from './foundation/api.js';
import { knownError } from './foundation/loading.js';
import { loadTheRest } from './foundation/later.js';
import { hasMoved, place, rememberedScroll } from './foundation/place.js';
import { currentKey, introduce, me, signOut } from './foundation/session.js';
import { ENTRANCES, SECTIONS, viewAt, type Section, type View } from './routes.js';
import { SignIn } from './sign-in.js';

/** Milliseconds for which the first view has the line for itself. */
const FIRST_VIEW = 3_000;

export function Shell() {
  const signedIn = currentKey() !== undefined;
  const view = viewAt(place());
  // Whoever signs in arrives as somebody who follows a link does.
  const cameSignedOut = useRef(!signedIn);
  useEffect(() => {
    if (!signedIn) cameSignedOut.current = true;
    if (signedIn && me() === undefined) void introduceOurselves();
    if (!signedIn) return;
    const timer = setTimeout(loadTheRest, FIRST_VIEW);
    return () => clearTimeout(timer);
  }, [signedIn]);
  return (
    <>
      <a class="skip" href="#content">
        Skip to the content
      </a>
      <Head section={view?.section} signedIn={signedIn} />
      {signedIn ? <Content view={view} arrives={cameSignedOut.current} /> : <SignIn />}
      <footer class="foot">
        <a href="/docs">The API</a>
        <a href="/problems">Problems explained</a>
        <span>Nothing here watches you: no cookies, no tracking.</span>
      </footer>
      <LiveRegion />
    </>
  );
}

async function introduceOurselves(): Promise<void> {
  try {
    introduce(await bodyOf(api.GET('/me')));
  } catch (error) {
    // A key that is no longer good has ended the session by now; and without a name the page works as well.
    knownError(error);
  }
}

function Head({ section, signedIn }: { section: Section | undefined; signedIn: boolean }) {
  return (
    <header class="head">
      <a class="wordmark" href="/">
        Adit
      </a>
      {signedIn && (
        <>
          <nav aria-label="Sections">
            {sectionsFor(me()?.role).map((each) => (
              <a key={each} href={ENTRANCES[each]} aria-current={each === section ? 'page' : undefined}>
                {SECTIONS[each]}
              </a>
            ))}
          </nav>
          <div class="whoami">
            <span dir="auto" class="name">
              {me()?.name}
            </span>
            <button type="button" class="quiet" onClick={() => signOut()}>
              Sign out
            </button>
          </div>
        </>
      )}
    </header>
  );
}

/** Nobody is shown what is not for them. */
const sectionsFor = (role: string | undefined): Section[] =>
  (Object.keys(SECTIONS) as Section[]).filter((section) => section !== 'operators' || role === 'admin');

/** A new place begins at its heading, for eyes and for screen readers; one that was come back to is where it was left. */
function Content({ view, arrives }: { view: View | undefined; arrives: boolean }) {
  const main = useRef<HTMLElement>(null);
  const { path } = place();
  useEffect(() => {
    document.title = `${view?.title ?? 'Nothing here'} – Adit`;
    if (!hasMoved() && !arrives) return;
    return whenThere(main.current, 'h1', (heading) => {
      heading.focus({ preventScroll: true });
      scrollTo(0, rememberedScroll());
    });
  }, [path, view?.title]);
  return (
    <main id="content" ref={main} tabIndex={-1}>
      {view === undefined ? <Nowhere /> : view.show()}
    </main>
  );
}

/** Views load what they show: their headings come with it. @returns what gives the waiting up */
function whenThere(parent: HTMLElement | null, selector: string, then: (element: HTMLElement) => void): () => void {
  const look = (): boolean => {
    const element = parent?.querySelector<HTMLElement>(selector);
    if (element === null || element === undefined) return false;
    observer.disconnect();
    then(element);
    return true;
  };
  const observer = new MutationObserver(look);
  if (parent !== null && !look()) observer.observe(parent, { childList: true, subtree: true });
  return () => observer.disconnect();
}

const Nowhere = () => (
  <div class="column">
    <h1 tabIndex={-1}>There is nothing here</h1>
    <p>
      The address leads nowhere in this page. <a href="/">To the collections</a>
    </p>
  </div>
);
