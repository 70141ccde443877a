/** How a packager's process is started, so that it takes no more memory than it needs: by the launcher, the image and the tests alike. */

/** What it copies is soon garbage: a small nursery keeps its memory low, and costs little time. */
export const PACKAGER_OPTIONS: readonly string[] = ['--max-semi-space-size=1'];

/**
 * All its threads share one heap of glibc's; each with its own takes 20 MB more. Buffers of 64 KiB and more stay out of that heap, which
 * does not shrink when they are gone: glibc takes them in as soon as the first of them was freed, unless a threshold is set.
 */
export const PACKAGER_ENVIRONMENT: Readonly<Record<string, string>> = {
  MALLOC_ARENA_MAX: '1',
  MALLOC_MMAP_THRESHOLD_: String(64 * 1024),
};
