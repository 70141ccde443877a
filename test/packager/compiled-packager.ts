/** The packager as JavaScript, for tests that need it in processes of their own. */
import { mkdtemp, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import ts from 'typescript';

const ROOT = join(import.meta.dirname, '../..');

export interface CompiledPackager {
  /** `packager/…` and `queue-config/…` below it. */
  folder: string;
  remove(): Promise<void>;
}

/** Beside the installed packages, so that imports of them are found. */
export async function compilePackager(): Promise<CompiledPackager> {
  const cache = join(ROOT, 'node_modules/.cache');
  await mkdir(cache, { recursive: true });
  const folder = await mkdtemp(join(cache, 'packager-'));
  await writeFile(join(folder, 'package.json'), '{"type":"module"}');
  for (const part of ['packager', 'queue-config']) {
    const entries = await readdir(join(ROOT, part), { recursive: true, withFileTypes: true });
    for (const entry of entries) {
      if (!entry.isFile() || !/\.m?[tj]s$/.test(entry.name)) continue;
      const source = join(entry.parentPath, entry.name);
      const target = join(folder, relative(ROOT, source).replace(/\.ts$/, '.js'));
      await mkdir(dirname(target), { recursive: true });
      await writeFile(target, compiled(await readFile(source, 'utf8')));
    }
  }
  return { folder, remove: () => rm(folder, { recursive: true, force: true }) };
}

function compiled(source: string): string {
  const { ESNext: module } = ts.ModuleKind;
  const compilerOptions = { target: ts.ScriptTarget.ES2023, module, verbatimModuleSyntax: true };
  return ts.transpileModule(source, { compilerOptions }).outputText;
}
