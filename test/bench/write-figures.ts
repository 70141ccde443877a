/** Figures written into the docs by the run that measured them. */
import { readFile, writeFile } from 'node:fs/promises';
import { format, resolveConfig } from 'prettier';

const [START, END] = ['<!-- figures -->', '<!-- end of figures -->'];

/**
 * Puts figures between the two comments of a Markdown file that mark their place, in place of those of an earlier run.
 * @param figures Markdown
 * @throws {Error} the file has no such comments
 */
export async function writeFigures(path: string, figures: string): Promise<void> {
  const text = await readFile(path, 'utf8');
  if (!text.includes(START) || !text.includes(END)) throw new Error(`${path} has no place for figures`);
  const [before = ''] = text.split(START);
  const [, after = ''] = text.split(END);
  const written = `${before}${START}\n\n${figures}\n\n${END}${after}`;
  await writeFile(path, await format(written, { ...(await resolveConfig(path)), parser: 'markdown' }));
}
