/** A dump that no packager survives: whoever asks for its documents is killed, as the kernel kills who takes too much memory. */
import { setTimeout as sleep } from 'node:timers/promises';
import { conclude, onField, type Drill } from './drill.js';
import { startFaultLine, type FaultLine } from './fault-line.js';
import type { Field } from './field.js';
import { dumpAll, makeDocsets, type Outcome } from './miners.js';
import { throughPort } from './step-lines.js';

/** So many may die of it. */
const MOST_DEATHS = 3;
/** Jobs of one packager at a time: those beside the poison die with it, and must not be taken for it. */
const AT_ONCE = '3';

export const POISON: Drill = {
  name: 'poison',
  isShort: true,
  async run(context) {
    const lines: FaultLine[] = [];
    let onAsked: (packager: number, said: Buffer) => void = () => undefined;
    const packagerEnv = async (index: number, apiUrl: string): Promise<Record<string, string>> => {
      const line = await startFaultLine(Number(new URL(apiUrl).port), undefined, (said) => onAsked(index, said));
      lines.push(line);
      return { API_URL: throughPort(apiUrl, line.port), PACKAGER_CONCURRENCY: AT_ONCE };
    };
    try {
      return await onField(context, { packagers: 3, packagerEnv }, async (field) => {
        const docsets = await makeDocsets(field, context.dumps);
        const poisonous = field.random.pick(docsets);
        const deaths = new Map<number, Promise<void>>();
        let died = 0;
        onAsked = (index, said) => {
          if (deaths.has(index) || !said.includes(`GET /api/docsets/${poisonous}?`)) return;
          died += 1;
          deaths.set(
            index,
            dieAndRise(field, index).then(() => void deaths.delete(index)),
          );
        };
        const outcomes = await dumpAll(field, docsets);
        onAsked = () => undefined;
        await Promise.all(deaths.values());
        const faults = [...faultsOfEnds(outcomes, poisonous), ...(await faultsOfLetters(field, poisonous))];
        if (died !== MOST_DEATHS) faults.push(`${died} packagers died of it`);
        const concluded = await conclude(field, outcomes, ['packager-killed']);
        return {
          ...concluded,
          faults: [...faults, ...concluded.faults],
          did: `${died} packagers died of docset ${poisonous}`,
          proof: { ...concluded.proof, deadLetters: 1 },
        };
      });
    } finally {
      for (const line of lines) await line.close();
    }
  },
};

async function dieAndRise({ packagers, random }: Field, index: number): Promise<void> {
  const packager = packagers[index];
  if (packager === undefined) throw new RangeError(`there is no packager ${index}`);
  await packager.kill();
  await sleep(random.between(0, 500));
  await packager.restart();
}

/** The poison alone has failed, and nobody was asked for it more often than for anything else. */
function faultsOfEnds(outcomes: readonly Outcome[], poisonous: string): string[] {
  return outcomes.flatMap(({ docset, end }) => {
    const isFailed = end.type === 'failed' && end.code === 'packager-killed';
    if (docset !== poisonous) return isFailed ? [`docset ${docset} was taken for the poison`] : [];
    if (!isFailed) return [`the poison ended ${end.type}${end.type === 'failed' ? `: ${end.code}` : ''}`];
    return end.status.attempt > MOST_DEATHS ? [`the poison was asked for ${end.status.attempt} times`] : [];
  });
}

/** An operator sees it among the dead letters, and why. */
async function faultsOfLetters({ broker }: Field, poisonous: string): Promise<string[]> {
  const { deadLetters } = await broker.status();
  const isOfPoison = deadLetters.some(
    ({ reason, from, original }) =>
      reason.startsWith(`${MOST_DEATHS} packagers began it`) &&
      from === '/queue/docsets/package' &&
      original.type === 'whole' &&
      original.message.body.includes(`/api/docsets/${poisonous}?`),
  );
  return isOfPoison ? [] : [`the dead letters do not show it: ${JSON.stringify(deadLetters)}`];
}
