/** `adit demo`, stopped before it is over. */
import { afterAll, afterEach, describe, expect, test } from '@jest/globals';
import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { processesWith } from '../drills/traces.js';
import { makeRunFolder } from '../servers/run-folder.js';
import { Hopeless, waitUntil } from '../servers/wait-until.js';
import { launchAdit, type AditProcess } from './adit-process.js';

/** What it has said last when it is stopped. Later on it is over too soon to be met in time by a slow machine. */
const MOMENTS = ['Starting broker', 'First start: ingesting'];

describe('adit demo', () => {
  const folder = makeRunFolder('demo');
  let demo: AditProcess | undefined;
  afterEach(async () => {
    if (demo?.running()) await demo.kill();
  });
  afterAll(() => folder.remove());

  /** Starts it with a temporary folder of its own, and waits until it has said this and has processes. */
  async function demoAt(moment: string): Promise<{ demo: AditProcess; temporary: string; processes: () => number[] }> {
    const temporary = join(folder.path, String(readdirSync(folder.path).length));
    mkdirSync(temporary);
    const env = { TMPDIR: temporary };
    const started = (demo = launchAdit('demo', env, `${temporary}.log`, { ownGroup: true }));
    const processes = (): number[] => processesWith('TMPDIR', temporary);
    const isThere = (): boolean => {
      if (!started.running()) throw new Hopeless(`It ended before "${moment}":\n${started.log()}`);
      return started.log().includes(moment) && processes().length > 1;
    };
    await waitUntil(moment, isThere);
    return { demo: started, temporary, processes };
  }

  test.each(MOMENTS)(
    'leaves no process and no folder when it is interrupted at "%s"',
    async (moment) => {
      const { demo, temporary, processes } = await demoAt(moment);
      demo.interrupt();
      expect(await demo.ended).toEqual({ code: 130, signal: null });
      // With the prompt back, nothing of it runs and says something.
      expect(processes()).toEqual([]);
      expect(readdirSync(temporary)).toEqual([]);
      expect(demo.log()).toMatch(/\nStopping…\n[^]*Interrupted\.\n$/);
      expect(demo.log()).not.toMatch(/error|starting it again|"level":50/i);
    },
    180_000,
  );

  test('leaves no process and no folder when SIGTERM reaches it alone', async () => {
    const { demo, temporary, processes } = await demoAt('First start: ingesting');
    await demo.stop();
    expect(await demo.ended).toEqual({ code: 130, signal: null });
    expect(processes()).toEqual([]);
    expect(readdirSync(temporary)).toEqual([]);
    expect(demo.log()).not.toMatch(/error|in the collection|"level":50/i);
  }, 180_000);
});
