/** Which view is at which path. The paths are those of the API without `/api`, where it has them. */
import type { ComponentChildren } from 'preact';
import { Collections } from './explore/collections.js';
import { later } from './foundation/later.js';
import type { Place } from './foundation/place.js';

const ExploreViews = later(() => import('./explore/views.js'));
const DocsetsViews = later(() => import('./docsets/views.js'));
const DumpsViews = later(() => import('./dumps/views.js'));
const OperatorsViews = later(() => import('./operators/operators.js'));

export interface View {
  /** Of the browser's tab. */
  title: string;
  /** What of the navigation it belongs to. */
  section: Section;
  show: () => ComponentChildren;
}

export const SECTIONS = { explore: 'Explore', docsets: 'Docsets', dumps: 'Dumps', operators: 'Operators' } as const;
export type Section = keyof typeof SECTIONS;

/** Where each section begins. */
export const ENTRANCES: Readonly<Record<Section, string>> = {
  explore: '/',
  docsets: '/docsets',
  dumps: '/dumps',
  operators: '/operators',
};

interface Pattern {
  path: RegExp;
  view: (parameter: string, query: URLSearchParams) => View;
}

const PATTERNS: readonly Pattern[] = [
  { path: /^\/$/, view: () => ({ title: 'Collections', section: 'explore', show: () => <Collections /> }) },
  {
    path: /^\/collections\/([a-z0-9_-]+)$/,
    view: (id) => ({
      title: 'Explore',
      section: 'explore',
      show: () => <ExploreViews>{({ Explore }) => <Explore key={id} collection={id} />}</ExploreViews>,
    }),
  },
  {
    path: /^\/documents\/(\d+)$/,
    view: (id) => ({
      title: 'Document',
      section: 'explore',
      show: () => <ExploreViews>{({ DocumentView }) => <DocumentView key={id} id={id} />}</ExploreViews>,
    }),
  },
  {
    path: /^\/docsets$/,
    view: () => ({
      title: 'Docsets',
      section: 'docsets',
      show: () => <DocsetsViews>{({ Docsets }) => <Docsets />}</DocsetsViews>,
    }),
  },
  {
    path: /^\/docsets\/([A-Za-z0-9_-]+)$/,
    view: (id) => ({
      title: 'Docset',
      section: 'docsets',
      show: () => <DocsetsViews>{({ DocsetView }) => <DocsetView key={id} id={id} />}</DocsetsViews>,
    }),
  },
  {
    path: /^\/docsets\/([A-Za-z0-9_-]+)\/dump$/,
    view: (id, query) => ({
      title: query.has('fmt') ? 'Dump' : 'Ask for a dump',
      section: 'dumps',
      show: () => <DumpsViews>{({ DumpView }) => <DumpView key={id} docset={id} />}</DumpsViews>,
    }),
  },
  {
    path: /^\/dumps$/,
    view: () => ({
      title: 'Your dumps',
      section: 'dumps',
      show: () => <DumpsViews>{({ MyDumps }) => <MyDumps />}</DumpsViews>,
    }),
  },
  {
    path: /^\/operators$/,
    view: () => ({
      title: 'Operators',
      section: 'operators',
      show: () => <OperatorsViews>{({ Operators }) => <Operators />}</OperatorsViews>,
    }),
  },
];

/** Undefined: the page has nothing at this path. */
export function viewAt({ path, query }: Place): View | undefined {
  for (const pattern of PATTERNS) {
    const found = pattern.path.exec(path);
    if (found !== null) return pattern.view(found[1] ?? '', query);
  }
  return undefined;
}
