/** Sends documents to the index while they are ingested. */
import type { Collection } from '../collections.js';
import { openBulk } from './bulk.js';
import type { EngineClient } from './engine-client.js';
import { readState } from './index-revision.js';
import type { Intake } from './search-engine.js';

/** How many ids are kept in memory; the texts of further documents are read again. */
const MOST_TAKEN = 200_000;

export function openIntake(client: EngineClient, { id }: Pick<Collection, 'id'>): Intake {
  const taken = new Set<string>();
  // Written to before it is made, an index would have another layout.
  let isOpen: Promise<boolean> | undefined;
  return {
    taken,
    async offer(documents) {
      if (taken.size >= MOST_TAKEN) return;
      try {
        isOpen ??= readState(client, id).then((state) => state !== undefined);
        if (!(await isOpen)) return;
        const bulk = openBulk(client, client.indexOf(id));
        for (const { row, content } of documents) await bulk.add(row, content);
        await bulk.flush();
        for (const { row } of documents) taken.add(row.id);
      } catch {
        // Nothing is lost: what was not taken is read again at the end, and whether that fails is told to the client.
        isOpen = Promise.resolve(false);
      }
    },
  };
}
