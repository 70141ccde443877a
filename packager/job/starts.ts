/**
 * Counts the packagers that began a job and were not heard of again, by a mark for each beside the archive: a request of which
 * packagers die is handed out again and again, and not every broker counts how often. The first start leaves no mark:
 * that it was there is told by the broker, which flags what it hands out again.
 */
import { randomBytes } from 'node:crypto';
import type { Delivery, PackageRequest } from '../../queue-config/index.js';
import type { ArchiveStore } from '../archive-store/archive-store.js';
import type { ArchiveKeys } from './archive-keys.js';

/** So many packagers may die of a request; the next one puts it aside. */
export const MOST_STARTS = 3;

export interface EarlierStarts {
  /** How many there were. */
  count: number;
  /** Names of the packagers, as far as they are known. */
  packagers: string[];
  /** Keys of their marks. */
  marks: string[];
}

const MARK = /\/started-[a-z0-9-]+\.json$/;

/** True where somebody may have begun the job before: only then is there anything to look for. */
export function mayHaveBegun({ message }: Pick<Delivery, 'message'>, { attempt }: PackageRequest): boolean {
  return message.headers['redelivered'] === 'true' || attempt > 1;
}

/** Starts of the dump, over all attempts, whose end nobody has noted. */
export async function findStarts(store: ArchiveStore, { dump }: ArchiveKeys): Promise<EarlierStarts> {
  const marks: string[] = [];
  for await (const { key } of store.list(dump)) if (MARK.test(key)) marks.push(key);
  const contents = await Promise.all(marks.slice(0, MOST_STARTS).map((key) => store.get(key)));
  const packagers = contents.flatMap((content) => nameIn(content) ?? []);
  return { count: 1 + marks.length, packagers, marks };
}

/** Leaves a mark of this start. @returns its key */
export async function markStart(store: ArchiveStore, { attempt }: ArchiveKeys, packager: string): Promise<string> {
  const key = `${attempt}started-${Date.now().toString(36)}-${randomBytes(6).toString('hex')}.json`;
  const content = JSON.stringify({ packager, started: new Date().toISOString() });
  await store.putIfAbsent(key, Buffer.from(content), 'application/json');
  return key;
}

function nameIn(content: Buffer | undefined): string | undefined {
  try {
    const { packager } = JSON.parse(content?.toString() ?? '{}') as { packager?: unknown };
    return typeof packager === 'string' ? packager : undefined;
  } catch {
    // A mark counts, whatever is in it.
    return undefined;
  }
}
