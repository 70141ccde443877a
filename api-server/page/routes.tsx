/** Which view is at which path. The paths are those of the API without `/api`, where it has them. */
import type { ComponentChildren } from 'preact';
import { Collections } from './explore/collections.js';
import { Explore } from './explore/explore.js';
import { DocumentView } from './explore/document-view.js';
import { DocsetView } from './docsets/docset-view.js';
import { Docsets } from './docsets/docsets.js';
import { DumpView } from './dumps/dump-view.js';
import { MyDumps } from './dumps/my-dumps.js';
import { Operators } from './operators/operators.js';

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
  view: (...parameters: string[]) => View;
}

const PATTERNS: readonly Pattern[] = [
  { path: /^\/$/, view: () => ({ title: 'Collections', section: 'explore', show: () => <Collections /> }) },
  {
    path: /^\/collections\/([a-z0-9_-]+)$/,
    view: (id = '') => ({ title: 'Explore', section: 'explore', show: () => <Explore key={id} collection={id} /> }),
  },
  {
    path: /^\/documents\/(\d+)$/,
    view: (id = '') => ({ title: 'Document', section: 'explore', show: () => <DocumentView key={id} id={id} /> }),
  },
  { path: /^\/docsets$/, view: () => ({ title: 'Docsets', section: 'docsets', show: () => <Docsets /> }) },
  {
    path: /^\/docsets\/([A-Za-z0-9_-]+)$/,
    view: (id = '') => ({ title: 'Docset', section: 'docsets', show: () => <DocsetView key={id} id={id} /> }),
  },
  {
    path: /^\/docsets\/([A-Za-z0-9_-]+)\/dump$/,
    view: (id = '') => ({ title: 'Dump', section: 'dumps', show: () => <DumpView key={id} docset={id} /> }),
  },
  { path: /^\/dumps$/, view: () => ({ title: 'Your dumps', section: 'dumps', show: () => <MyDumps /> }) },
  { path: /^\/operators$/, view: () => ({ title: 'Operators', section: 'operators', show: () => <Operators /> }) },
];

/** Undefined: the page has nothing at this path. */
export function viewAt(path: string): View | undefined {
  for (const pattern of PATTERNS) {
    const found = pattern.path.exec(path);
    if (found !== null) return pattern.view(...found.slice(1));
  }
  return undefined;
}
