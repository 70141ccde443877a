/** What the name of a file says: which document it belongs to, and as what. */

export type NamedFile =
  /** A format of a document. */
  | { type: 'file'; ref: string; ending: string; format: string }
  /** The metadata of one document: `<ref>.meta.json`. */
  | { type: 'metadata'; ref: string; ending: string }
  | { type: 'unsafe'; reason: string }
  | { type: 'ignored'; reason: string };

const ENDING = /^(.*?[^/])(\.tei\.xml|\.meta\.json|\.[a-z0-9]{1,16})$/is;
/** Endings that mean a format of another name. */
const FORMATS: Record<string, string> = { '.tei.xml': 'tei', '.htm': 'html', '.text': 'txt' };

/** @param name path below the top of the source, with `/` */
export function readName(name: string): NamedFile {
  const unsafe = faultOfPath(name);
  if (unsafe !== undefined) return { type: 'unsafe', reason: unsafe };
  const hidden = name.split('/').find((part) => part.startsWith('.') || part === '__MACOSX');
  if (hidden !== undefined) return { type: 'ignored', reason: 'hidden' };
  const [, ref = '', ending = ''] = ENDING.exec(name) ?? [];
  if (ref === '') return { type: 'ignored', reason: 'no format: its name has no ending such as .txt' };
  const lower = ending.toLowerCase();
  if (lower === '.meta.json') return { type: 'metadata', ref, ending };
  if (lower === '.meta') return { type: 'ignored', reason: 'the format meta is made from the metadata' };
  return { type: 'file', ref, ending, format: FORMATS[lower] ?? lower.slice(1) };
}

/** Where a path could lead out of the source. */
export function faultOfPath(name: string): string | undefined {
  if (name.includes('\0')) return 'its path has a NUL';
  if (name.startsWith('/') || /^[a-z]:/i.test(name)) return 'its path is absolute';
  if (name.split(/[/\\]/).includes('..')) return 'its path leads out of the source (..)';
  return undefined;
}

/** Sorts the files of a document side by side: no other byte comes before NUL. */
export const keyOf = (ref: string, ending: string): Buffer => Buffer.from(`${ref}\0${ending}`);

export function readKey(key: Buffer): { ref: string; ending: string; name: string } {
  const [ref = '', ending = ''] = key.toString('utf8').split('\0');
  return { ref, ending, name: ref + ending };
}
