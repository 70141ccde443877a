/** What a command says and answers when it fails. */

/** What a person at a terminal is told of an error: its message and what led to it, no stack trace. */
export function explain(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const causes: string[] = [];
  for (let cause = error.cause; cause instanceof Error; cause = cause.cause) causes.push(cause.message);
  return [error.message, ...causes.map((message) => `  because: ${message}`)].join('\n');
}

/** Somebody pressed Ctrl-C. */
export class InterruptedError extends Error {
  override readonly name = 'InterruptedError';
}

/** 130 is what shells give to what Ctrl-C ended: 128 + SIGINT. */
export const exitCodeOf = (error: unknown): number => (error instanceof InterruptedError ? 130 : 1);
