/** Highlights come as HTML with the words in `<em>` and everything else escaped: here they are texts again. */

export interface Piece {
  text: string;
  marked: boolean;
}

export function piecesOf(passage: string): Piece[] {
  return passage
    .split(/(<em>.*?<\/em>)/s)
    .filter((part) => part !== '')
    .map((part) => {
      const marked = part.startsWith('<em>') && part.endsWith('</em>');
      return { text: unescape(marked ? part.slice('<em>'.length, -'</em>'.length) : part), marked };
    });
}

/**
 * Where a line may be too narrow for all of a passage: with so many characters before its first marked word, so that this one is seen.
 */
export function cutBefore(pieces: readonly Piece[], characters: number): Piece[] {
  const first = pieces.findIndex(({ marked }) => marked);
  const before = pieces
    .slice(0, Math.max(0, first))
    .map(({ text }) => text)
    .join('');
  if (before.length <= characters) return [...pieces];
  // From the beginning of a word on, where there is one.
  const end = before.slice(-characters).toWellFormed();
  const word = /\s(\S.*)$/s.exec(end)?.[1] ?? end;
  return [{ text: `… ${word}`, marked: false }, ...pieces.slice(first)];
}

const CHARACTERS: Readonly<Record<string, string>> = { '&lt;': '<', '&gt;': '>', '&quot;': '"', '&amp;': '&' };

const unescape = (text: string): string =>
  text.replace(/&(lt|gt|quot|amp);/g, (entity) => CHARACTERS[entity] ?? entity);
