/** What of the dumps comes as a script of its own. */
export { DumpView } from './dump-view.js';
export { MyDumps } from './my-dumps.js';
