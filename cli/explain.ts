/** What a person at a terminal is told of an error: its message and what led to it, no stack trace. */
export function explain(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const causes: string[] = [];
  for (let cause = error.cause; cause instanceof Error; cause = cause.cause) causes.push(cause.message);
  return [error.message, ...causes.map((message) => `  because: ${message}`)].join('\n');
}
