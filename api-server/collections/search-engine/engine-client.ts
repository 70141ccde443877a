/** HTTP to OpenSearch or Elasticsearch. Everything that goes wrong there becomes one error. */

/** The engine cannot be reached, or would not do what it was asked; `status` is its answer's, where there was one. */
export class SearchEngineError extends Error {
  override readonly name = 'SearchEngineError';
  constructor(
    message: string,
    readonly status: number | undefined,
    options: ErrorOptions = {},
  ) {
    super(message, options);
  }
}

export interface EngineClient {
  /** Name of the index of a collection. */
  indexOf(collection: string): string;
  /**
   * @param body an object is sent as JSON, a text as lines of JSON
   * @returns undefined where the status is one of `besides`
   * @throws {SearchEngineError}
   */
  send<T>(method: string, path: string, body?: object | string, besides?: readonly number[]): Promise<T | undefined>;
}

const LONGEST_WAIT = 60_000;
/** Indexes of another layout have another name, and are made anew. */
const LAYOUT = 1;

/** @param url `http(s)://[user:password@]host:port[/prefix]`; the prefix begins the names of our indexes, `adit` by default */
export function createEngineClient(url: string): EngineClient {
  const { protocol, host, username, password, pathname } = new URL(url);
  const prefix = pathname.replaceAll('/', '') || 'adit';
  const credentials = Buffer.from(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`).toString('base64');
  const authorization: Record<string, string> = username === '' ? {} : { Authorization: `Basic ${credentials}` };
  return {
    indexOf: (collection) => `${prefix}-${LAYOUT}-${collection}`,
    async send<T>(method: string, path: string, body?: object | string, besides: readonly number[] = []) {
      const answer = await request(`${protocol}//${host}${path}`, {
        method,
        headers: {
          ...authorization,
          'Content-Type': typeof body === 'string' ? 'application/x-ndjson' : 'application/json',
        },
        ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
        signal: AbortSignal.timeout(LONGEST_WAIT),
      });
      if (answer.ok) return answer.body as T;
      if (besides.includes(answer.status)) return undefined;
      const reason = JSON.stringify(answer.body).slice(0, 500);
      throw new SearchEngineError(`${method} ${path} was answered ${answer.status}: ${reason}`, answer.status);
    },
  };
}

async function request(url: string, init: RequestInit): Promise<{ ok: boolean; status: number; body: unknown }> {
  try {
    const { ok, status, ...response } = await readWhole(await fetch(url, init));
    return { ok, status, body: response.text === '' ? {} : (JSON.parse(response.text) as unknown) };
  } catch (error) {
    throw new SearchEngineError('the search engine does not answer', undefined, { cause: error });
  }
}

const readWhole = async (response: Response) => ({
  ok: response.ok,
  status: response.status,
  text: await response.text(),
});
