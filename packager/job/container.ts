/** What kind of file an archive becomes. */
import type { PackageRequest } from '../../queue-config/index.js';
import { JobFailedError } from './job-failure.js';

/** As the request says it in `archive`, and at the end of the archive's name. */
export type Container = 'zip' | 'tar.gz';

export const MEDIA_TYPES: Record<Container, string> = { zip: 'application/zip', 'tar.gz': 'application/gzip' };

/** @throws {JobFailedError} for one that cannot be made here */
export function containerOf({ url }: Pick<PackageRequest, 'url'>): Container {
  const wanted = new URL(url).searchParams.get('archive') ?? 'zip';
  if (wanted === 'zip' || wanted === 'tar.gz') return wanted;
  throw new JobFailedError('internal', `The packager makes no archives of the kind ${JSON.stringify(wanted)}.`);
}
