/**
 * What was asked for before the page's own script had come: `early/first-requests.ts` runs in the head and leaves its answers here. It shares
 * no code with the page, so that it stays small.
 */
export type Early = Record<string, Promise<Response>>;

declare global {
  var aditEarly: Early | undefined;
}

/** The answer that is on its way to a GET of a path with its query, once; undefined where it was not asked for. */
export function takeEarly({ method, url }: Request): Promise<Response> | undefined {
  const { pathname, search } = new URL(url);
  const path = pathname + search;
  const early = method === 'GET' ? globalThis.aditEarly?.[path] : undefined;
  if (early !== undefined) delete globalThis.aditEarly?.[path];
  return early;
}
