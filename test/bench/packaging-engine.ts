/** The archive engine alone, folder to folder, beside Info-ZIP and `cp`. */
import { fork, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import ts from 'typescript';
import { compilePackager } from '../packager/compiled-packager.js';
import type { Corpus, CorpusDocument } from './corpus/build-corpus.js';
import { laySegments } from './corpus/lay-segments.js';
import { interleave, medianOf, type Ratios } from './measure.js';
import type { Answer, Order, Task } from './packaging-contender.js';

const CONTENDER = join(import.meta.dirname, 'packaging-contender.ts');

export async function measureEngine(corpus: Corpus, folder: string, rounds: number, ratios: Ratios): Promise<void> {
  const content = join(folder, 'content');
  const archives = join(folder, 'archives');
  await mkdir(archives);
  const laid = await laySegments(corpus, content);
  const half = corpus.documents.filter(({ ref }) => isInHalf(ref));
  const lists = { whole: await writeLists('whole', corpus.documents), half: await writeLists('half', half) };
  const contenders = await startContenders();
  const peaks: Record<string, number> = {};
  const sizes: Record<string, number> = {};

  async function writeLists(name: string, documents: readonly CorpusDocument[]) {
    const refs = join(folder, `${name}.refs`);
    const names = join(folder, `${name}.names`);
    const listing = join(folder, `${name}.ndjson`);
    await writeFile(refs, `${documents.map(({ ref }) => ref).join('\n')}\n`);
    await writeFile(names, `${documents.map(({ ref }) => `${ref}.txt`).join('\n')}\n`);
    await writeFile(listing, laid.listing(documents));
    return { refs, names, listing };
  }

  const ours = (name: string, contender: Contender, task: Task) => async (): Promise<number> => {
    const key = `${name}.zip`;
    await rm(join(archives, key), { force: true });
    const { milliseconds, bytes, peakKilobytes } = await contender.carryOut({ task, into: archives, key });
    peaks[name] = peakKilobytes;
    sizes[name] = bytes;
    return milliseconds;
  };
  /** A shell's command that makes the file named by $OUT; what is written is made durable, as ours is. */
  const theirs = (name: string, command: string) => async (): Promise<number> => {
    const out = join(archives, `${name}-other.zip`);
    const peak = join(folder, 'peak');
    await rm(out, { force: true });
    const started = performance.now();
    await shell(`/usr/bin/time -f %M -o ${peak} ${command} && sync ${out}`, { OUT: out, DOCUMENTS: corpus.folder });
    const took = performance.now() - started;
    peaks[name] = Number(await readFile(peak, 'utf8'));
    sizes[name] = (await stat(out)).size;
    return took;
  };
  const zip = (names: string) => `sh -c 'cd "$DOCUMENTS" && zip -6 -q -X "$OUT" -@ <${names}'`;
  const copy = (listing: string): Task => ({ type: 'copy', listing, content });

  try {
    const figures = await interleave(
      {
        zip: theirs('zip', zip(lists.whole.names)),
        copy: ours('copy', contenders.copying, copy(lists.whole.listing)),
        cp: theirs('cp', `cp ${join(archives, 'copy.zip')} "$OUT"`),
        zipHalf: theirs('zipHalf', zip(lists.half.names)),
        copyHalf: ours('copyHalf', contenders.copying, copy(lists.half.listing)),
        deflate: ours('deflate', contenders.deflating, {
          type: 'deflate',
          refs: lists.whole.refs,
          folder: corpus.folder,
        }),
      },
      { rounds, warmUp: 1 },
    );
    const median = (name: string): number => medianOf(figures, name);
    const peak = (name: string): number => ((peaks[name] ?? NaN) * 1024) / 1e6;
    for (const name of Object.keys(figures)) {
      const seconds = (median(name) / 1000).toFixed(3);
      const megabytes = ((sizes[name] ?? NaN) / 1e6).toFixed(1);
      process.stdout.write(
        `${name.padEnd(10)} ${seconds} s, ${megabytes} MB, peak memory ${peak(name).toFixed(0)} MB\n`,
      );
    }
    const of = (other: string, one: string): number => median(other) / median(one);
    ratios.add('copy_to_zip', 'whole collection, folder to folder: speed / zip -6', of('zip', 'copy'), { least: 30 });
    ratios.add('copy_to_cp', 'whole collection, folder to folder: time / cp of the finished zip', of('copy', 'cp'), {
      most: 3,
    });
    const smaller = (sizes['copy'] ?? NaN) / (sizes['zip'] ?? NaN);
    ratios.add('copy_to_zip_size', 'whole collection: size / zip -6', smaller, { most: 1 });
    ratios.add('half_to_zip', 'random half, folder to folder: speed / zip -6', of('zipHalf', 'copyHalf'), {
      least: 15,
    });
    ratios.add('deflate_to_zip', 'deflated on the way: speed / zip -6', of('zip', 'deflate'), { least: 2.5 });
  } finally {
    await contenders.close();
    await rm(content, { recursive: true });
    await rm(archives, { recursive: true });
  }
}

/** A half that is the same each time, and scattered over the whole. */
function isInHalf(ref: string): boolean {
  let hash = 2_166_136_261;
  for (const character of ref) hash = Math.imul(hash ^ character.charCodeAt(0), 16_777_619);
  return ((hash ^ (hash >>> 15)) & 1) === 1;
}

async function shell(command: string, environment: Record<string, string>): Promise<void> {
  const child = spawn('sh', ['-c', command], {
    env: { PATH: process.env['PATH'], LANG: 'C.UTF-8', ...environment },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  const [code] = (await once(child, 'exit')) as [number | null];
  if (code !== 0) throw new Error(`ended with ${code}: ${command}`);
}

interface Contender {
  carryOut(order: Order): Promise<Answer>;
}

/** Each way in a process of its own, so that each has a peak of its own. */
async function startContenders(): Promise<{ copying: Contender; deflating: Contender; close(): Promise<void> }> {
  const compiled = await compilePackager();
  const script = join(compiled.folder, 'test/bench/packaging-contender.js');
  await mkdir(join(compiled.folder, 'test/bench'), { recursive: true });
  const { outputText } = ts.transpileModule(await readFile(CONTENDER, 'utf8'), {
    compilerOptions: { target: ts.ScriptTarget.ES2023, module: ts.ModuleKind.ESNext, verbatimModuleSyntax: true },
  });
  await writeFile(script, outputText);
  const children = [1, 2].map(() => fork(script, { execArgv: [] }));
  const [copying, deflating] = children.map(contenderOf) as [Contender, Contender];
  return {
    copying,
    deflating,
    async close() {
      for (const child of children) child.disconnect();
      await compiled.remove();
    },
  };
}

function contenderOf(child: ChildProcess): Contender {
  const ended = once(child, 'exit').then(() => Promise.reject(new Error('the contender has ended')));
  // After the last order nobody waits for it.
  ended.catch(() => undefined);
  return {
    async carryOut(order) {
      const answered = once(child, 'message');
      child.send(order);
      const [answer] = (await Promise.race([answered, ended])) as [Answer];
      return answer;
    },
  };
}
