/** What of the docsets comes as a script of its own. */
export { DocsetView } from './docset-view.js';
export { Docsets } from './docsets.js';
