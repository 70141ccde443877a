/** What a drill is, and how most of them go: twenty dumps while blows fall, then the proof. */
import { setTimeout as sleep } from 'node:timers/promises';
import { BLOWS, type Blow, type BlowName } from './blows.js';
import { startSingle, type DrillBroker } from './brokers.js';
import { openField, type Field, type FieldOptions, type Ground } from './field.js';
import { dumpAll, dumpOne, makeDocsets, type Outcome } from './miners.js';
import { errorsLogged, proveAtRest, proveGone, type ProofOptions } from './proof.js';
import type { Random } from './random.js';

export interface Drill {
  readonly name: string;
  /** Part of the short form. */
  readonly isShort?: boolean;
  run(context: DrillContext): Promise<DrillResult>;
}

export interface DrillContext {
  ground: Ground;
  random: Random;
  /** Dumps of each drill. */
  dumps: number;
  isShort: boolean;
  /** Of the random mix. */
  minutes: number;
  /** Dumps that nobody polls. */
  unpolled: number;
}

export interface DrillResult {
  outcomes: Outcome[];
  /** What was done to the service. */
  did: string;
  faults: string[];
}

/** Failures that are the true answer where packagers or the store are away for longer than they wait. */
export type Allowed = readonly string[];

/** Fast enough that a dump takes two or three seconds. */
const STORE_PACE = 8_000_000;

/** 9 MB of archive: two parts of an upload. */
const DOCUMENTS = { long: 160, short: 20 } as const;

export type FieldSettings = Omit<Partial<FieldOptions>, 'broker'> & { startBroker?: () => Promise<DrillBroker> };

/** Opens a field, does a drill on it, proves what has to be true, and closes it. */
export async function onField(
  { ground, random, isShort }: DrillContext,
  { startBroker = () => startSingle(), ...settings }: FieldSettings,
  work: (field: Field) => Promise<Omit<DrillResult, 'faults'> & { faults?: string[]; proof?: ProofOptions }>,
): Promise<DrillResult> {
  const broker = await startBroker();
  try {
    const field = await openField(ground, random, {
      packagers: 2,
      documents: isShort ? DOCUMENTS.short : DOCUMENTS.long,
      storeBytesPerSecond: STORE_PACE,
      ...settings,
      env: { EVENT_TTL: isShort ? '10s' : '30s', ...settings.env },
      broker,
    });
    try {
      const { outcomes, did, faults = [], proof } = await work(field);
      faults.push(...(await proveAtRest(field, proof)));
      await field.stop();
      faults.push(...(await proveGone(field)));
      if (faults.length > 0) process.stderr.write(`${errorsLogged(field).join('\n')}\n`);
      return { outcomes, did, faults };
    } finally {
      await field.close();
    }
  } finally {
    await broker.close();
  }
}

export interface BlowSettings extends FieldSettings {
  /** Each in its turn. */
  blows: readonly BlowName[];
  /** How many fall in all, if the dumps take so long. */
  times: number;
  /** Milliseconds between them. */
  pauses?: readonly [number, number];
  mayFail?: Allowed;
}

/** A drill in which blows fall one after another while dumps are made. */
export function drillOfBlows(
  name: string,
  { blows, times, pauses = [500, 3_000], mayFail = [], ...settings }: BlowSettings,
  { isShort = false } = {},
): Drill {
  return {
    name,
    isShort,
    run: (context) =>
      onField(context, settings, async (field) => {
        const docsets = await makeDocsets(field, context.dumps);
        const over = new AbortController();
        const most = context.isShort ? Math.ceil(times / 3) : times;
        const striking = strikeInTurn(field, { blows, times: most, pauses }, over.signal);
        const outcomes = await dumpAll(field, docsets);
        over.abort();
        const struck = await striking;
        return { ...(await conclude(field, outcomes, mayFail)), did: `${struck} blows` };
      }),
  };
}

/** @returns how many blows fell */
async function strikeInTurn(
  field: Field,
  { blows, times, pauses }: Required<Pick<BlowSettings, 'blows' | 'times' | 'pauses'>>,
  over: AbortSignal,
): Promise<number> {
  let struck = 0;
  for (; struck < times; struck++) {
    const pause = field.random.between(...pauses);
    await sleep(pause, undefined, { signal: over }).catch(() => undefined);
    if (over.aborted) break;
    const name = blows[struck % blows.length];
    if (name === undefined) break;
    const blow: Blow = BLOWS[name];
    await blow.strike(field, field.random.between(...blow.lasts), struck);
  }
  return struck;
}

/** Once it is calm again: what failed is asked for once more, and has to succeed. */
export async function conclude(
  field: Field,
  outcomes: Outcome[],
  mayFail: Allowed,
): Promise<{ outcomes: Outcome[]; faults: string[]; proof: ProofOptions }> {
  const faults: string[] = [];
  const failed = outcomes.filter(({ end }) => end.type === 'failed');
  for (const { docset, end } of outcomes) {
    if (end.type === 'error') faults.push(`docset ${docset}: ${explain(end.error)}`);
    if (end.type === 'failed' && !mayFail.includes(end.code)) {
      faults.push(`docset ${docset}: failed with ${end.code}: ${end.status.error?.detail ?? ''}`);
    }
  }
  const again = await Promise.all(failed.map(({ docset }) => dumpOne(field, docset)));
  for (const { docset, end } of again) {
    if (end.type === 'successful') continue;
    const why = end.type === 'failed' ? end.code : explain(end.error);
    faults.push(`docset ${docset}, asked again once all was well: ${why}`);
  }
  const askedAgain = new Set(failed.map(({ docset }) => docset));
  return { outcomes, faults, proof: { dumpsOf: (docset) => (askedAgain.has(docset) ? 2 : 1) } };
}

export function explain(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? `${error.message} (${error.cause.message})` : error.message;
}
