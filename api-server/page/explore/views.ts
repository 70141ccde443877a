/** What of Explore comes as a script of its own. */
export { DocumentView } from './document-view.js';
export { Explore } from './explore.js';
