/** How a packager's process is started, so that it takes no more memory than it needs: by the launcher, the image and the tests alike. */

/** What it copies is soon garbage: a small nursery keeps its memory low, and costs no time. */
export const PACKAGER_OPTIONS: readonly string[] = ['--max-semi-space-size=2'];

/** All its threads share one heap of glibc's; each with its own takes 20 MB more. */
export const PACKAGER_ENVIRONMENT: Readonly<Record<string, string>> = { MALLOC_ARENA_MAX: '1' };
