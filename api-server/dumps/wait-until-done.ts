/** `Prefer: wait=N` (RFC 7240 §4.3): the answer may come later, with the result. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Request } from 'express';
import { isLive } from './dump.js';
import type { DumpParts } from './dump-parts.js';
import { pollDump, type PollResult } from './poll-dump.js';

/** A wait is cut to this, in seconds: proxies in between close connections that are silent for a minute. */
const LONGEST_WAIT = 50;
const PAUSE = 1_000;

/** Polls for the client, within its request, until the dump is over, the wanted seconds are, or the client is gone. */
export async function waitUntilDone(parts: DumpParts, first: PollResult, request: Request): Promise<PollResult> {
  const wanted = /(?:^|[,;\s])wait\s*=\s*"?(\d{1,6})/i.exec(request.get('Prefer') ?? '')?.[1];
  const deadline = Date.now() + Math.min(LONGEST_WAIT, Number(wanted ?? 0)) * 1_000;
  let result = first;
  while (isLive(result.dump) && Date.now() < deadline && !request.socket.destroyed) {
    await sleep(Math.min(PAUSE, deadline - Date.now()));
    result = await pollDump(parts, await parts.store.renewed(result.dump));
  }
  return result;
}
