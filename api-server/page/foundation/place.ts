/** Where in the page its user is: the path and the query of the URL, and nothing else. */
import { signal } from '@preact/signals';

export interface Place {
  path: string;
  query: URLSearchParams;
}

const read = (): Place => ({ path: location.pathname, query: new URLSearchParams(location.search) });

const current = signal<Place>(read());
/** Read it in a component, and the component is drawn again when the place changes. */
export const place = (): Place => current.value;

/** How many places were gone to: the first one is where the browser came in. */
let moves = 0;
export const hasMoved = (): boolean => moves > 0;

/** @param replace true: the place before is not one to come back to */
export function go(href: string, { replace = false }: { replace?: boolean } = {}): void {
  if (replace) {
    history.replaceState(history.state, '', href);
  } else {
    history.replaceState({ scroll: scrollY }, '');
    history.pushState(null, '', href);
    moves += 1;
  }
  current.value = read();
}

/** How far down the user had scrolled when leaving this place, in pixels. */
export const rememberedScroll = (): number => (history.state as { scroll?: number } | null)?.scroll ?? 0;

/** `/docsets?left=5`: a path with those parameters that have a value. */
export function href(
  path: string,
  parameters: Readonly<Record<string, string | readonly string[] | undefined>>,
): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    for (const each of typeof value === 'string' ? [value] : (value ?? [])) if (each !== '') query.append(name, each);
  }
  const text = query.toString();
  return text === '' ? path : `${path}?${text}`;
}

/** The paths of this origin that are not the page's own. */
const ELSEWHERE = /^\/(?:(?:api|docs|problems|healthz|metrics|assets)(?:\/|$)|openapi\.)/;

/** Plain links within the page are followed without loading it again. */
export function followLinks(): void {
  history.scrollRestoration = 'manual';
  addEventListener('popstate', () => {
    moves += 1;
    current.value = read();
  });
  document.addEventListener('click', (event) => {
    if (event.defaultPrevented || event.button !== 0) return;
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const link = event.target instanceof Element ? event.target.closest('a') : null;
    if (link === null || link.target !== '' || link.hasAttribute('download')) return;
    if (link.origin !== location.origin || ELSEWHERE.test(link.pathname) || link.getAttribute('href')?.startsWith('#'))
      return;
    event.preventDefault();
    go(link.href);
  });
}
