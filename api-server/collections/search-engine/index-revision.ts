/**
 * Up to which revision of its collection an index is complete: an entry of the index itself. Its version is twice the revision,
 * or one less while the index is being brought there. The higher version wins, so whoever comes late changes nothing.
 */
import type { EngineClient } from './engine-client.js';

const ID = 'revision';

export interface IndexState {
  /** Exactly what the collection was at this revision is found; undefined while something is being written. */
  complete: number | undefined;
  /** Everything up to this revision has been written; undefined where not even one whole build has been. */
  base: number | undefined;
}

/** Undefined where there is no index. */
export async function readState(client: EngineClient, collection: string): Promise<IndexState | undefined> {
  const path = `/${client.indexOf(collection)}/_doc/${ID}`;
  const found = await client.send<{ _version: number; _source: { revision: number } }>('GET', path, undefined, [404]);
  if (found === undefined) return undefined;
  const { revision } = found._source;
  return {
    complete: found._version % 2 === 0 ? found._version / 2 : undefined,
    base: revision < 0 ? undefined : revision,
  };
}

/** From here on the index is no longer at any revision. */
export const beginRevision = (client: EngineClient, collection: string, revision: number, base: number | undefined) =>
  writeState(client, collection, 2 * revision - 1, base ?? -1);

export const completeRevision = (client: EngineClient, collection: string, revision: number) =>
  writeState(client, collection, 2 * revision, revision);

async function writeState(client: EngineClient, collection: string, version: number, revision: number): Promise<void> {
  const path = `/${client.indexOf(collection)}/_doc/${ID}?version=${version}&version_type=external_gte`;
  await client.send('PUT', path, { revision }, [409]);
}
