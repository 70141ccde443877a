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

const CHARACTERS: Readonly<Record<string, string>> = { '&lt;': '<', '&gt;': '>', '&quot;': '"', '&amp;': '&' };

const unescape = (text: string): string =>
  text.replace(/&(lt|gt|quot|amp);/g, (entity) => CHARACTERS[entity] ?? entity);
