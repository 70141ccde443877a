/** The text of a page, as a text miner would want it: without markup, and with its lines. */

const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'", nbsp: ' ' };

/** Of HTML, or of another markup in angle brackets. */
export function plainTextOf(markup: string): { title: string; text: string } {
  const title = /<title[^>]*>([^<]+)</i.exec(markup)?.[1] ?? '';
  const text = markup
    .replace(/<!--[\s\S]*?-->/g, '')
    .replace(/<(script|style|head|nav)\b[\s\S]*?<\/\1\s*>/gi, '')
    .replace(/<\/?(p|div|h\d|li|tr|br|pre|table|section|dd|dt|ul|ol|title|para|sect\d)\b[^>]*>/gi, '\n')
    .replace(/<[^>]*>/g, '');
  return { title: tidy(decode(title)).trim(), text: tidy(decode(text)) };
}

function decode(text: string): string {
  return text.replace(/&(?:#(\d{1,7})|#x([\da-f]{1,6})|(\w+));/gi, (written, decimal, hexadecimal, name) => {
    if (typeof name === 'string') return ENTITIES[name] ?? written;
    const code = typeof decimal === 'string' ? Number(decimal) : Number.parseInt(String(hexadecimal), 16);
    return code > 0 && code <= 0x10ffff ? String.fromCodePoint(code) : '';
  });
}

/** No more than one empty line between two others, and no white space at the end of any. */
export function tidy(text: string): string {
  const lines = text
    .replace(/\r/g, '')
    .replace(/[ \t\f\u00a0]+\n/g, '\n')
    .replace(/\n{3,}/g, '\n\n');
  return `${lines.trim()}\n`;
}
