/** What kind of archive a request asks for. */
import { DEFAULT_CONTAINER, parseContainer, type Container, type PackageRequest } from '../../queue-config/index.js';
import { JobFailedError } from './job-failure.js';

/** @throws {JobFailedError} for one that cannot be made here */
export function containerOf({ url }: Pick<PackageRequest, 'url'>): Container {
  const wanted = new URL(url).searchParams.get('archive') ?? DEFAULT_CONTAINER;
  const container = parseContainer(wanted);
  if (container !== undefined) return container;
  throw new JobFailedError('internal', `The packager makes no archives of the kind ${JSON.stringify(wanted)}.`);
}
