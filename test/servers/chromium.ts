/** A real browser: Debian's Chromium, without a window. */
import type { Browser } from 'playwright-core';
import { findProgram } from './server-process.js';

/** The path of the program; undefined where it is not installed. */
export const findChromium = (): string | undefined => findProgram('chromium');

/** Who starts it closes it. */
export async function startChromium(): Promise<Browser> {
  const executablePath = findChromium();
  if (executablePath === undefined) throw new Error('Chromium is not installed: test/servers/install.sh chromium');
  // Only here: most suites that start servers open no browser, and it takes a fifth of a second to load.
  const { chromium } = await import('playwright-core');
  // Tests run as root, and in containers with a small /dev/shm.
  return chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu'] });
}
