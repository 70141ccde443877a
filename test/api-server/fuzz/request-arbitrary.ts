/** Requests: to every operation of openapi.yaml, as everybody, fitting and not; and to what is not described at all. */
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { examplesOf, operations, type Operation, type MediaType, type Parameter } from '../contract-operations.js';
import { query } from './query-arbitrary.js';
import { fitting, hostileText, mutated, type Schema } from './schema-arbitrary.js';

export interface FuzzRequest {
  /** Undefined: outside the description, where all that is known is that it must not fail. */
  operationId: string | undefined;
  method: string;
  /** As it goes over the line. */
  target: string;
  headers: Record<string, string>;
  body: Buffer | undefined;
}

/** What the requests may know: keys by the names of their holders. */
export type Keys = Readonly<Record<string, string>>;

const KNOWN = { Query: query };

/** Ids that are there, most of the time. */
const IDS: Record<string, fc.Arbitrary<string>> = {
  collection: fc.constantFrom('c', 'c', 'd', 'sotu', 'nothing-here'),
  docset: fc.integer({ min: 1, max: 30 }).map(String),
  ingest: fc.integer({ min: 1, max: 40 }).map(String),
  format: fc.constantFrom('txt', 'meta', 'pdf', 'html'),
};
/** Values of query parameters that make sense, where the description leaves more open. */
const QUERY: Record<string, fc.Arbitrary<string>> = {
  fmt: fc.constantFrom('txt', 'meta', 'meta,txt'),
  fmts: fc.constantFrom('txt', 'meta'),
  ingest: fc.constantFrom('1', '2'),
};
const someId = fc.integer({ min: 1, max: 8 }).map(String);

export function requests(keys: Keys): fc.Arbitrary<FuzzRequest> {
  return fc.oneof(
    { weight: 6, arbitrary: fc.oneof(...operations.map((operation) => fittingRequestTo(operation, keys))) },
    { weight: 6, arbitrary: fc.oneof(...operations.map((operation) => requestTo(operation, keys))) },
    { weight: 1, arbitrary: elsewhere(keys) },
  );
}

/** One that the description allows, by somebody who may. */
function fittingRequestTo(operation: Operation, keys: Keys): fc.Arbitrary<FuzzRequest> {
  const { operationId, parameters, roles = ['miner'] } = operation;
  const inQuery = parameters.filter((parameter) => parameter.in === 'query');
  const pairs = inQuery.map(({ name, schema, required = false }) =>
    sometimes(
      (QUERY[name] ?? fitting(schema as Schema)).map((value) => `${name}=${encode(String(value))}`),
      required ? 1_000 : 1 / 4,
    ),
  );
  const fine = Object.entries(operation.bodies).map(([type, content]) => fittingBody(operation, type, content));
  return fc
    .record({
      path: pathOf(operation, (name) => idFor(operation, name)),
      search: fc.tuple(...pairs).map(toSearch),
      role: fc.constantFrom(...roles),
      body: fine.length === 0 ? noBody : fc.oneof(...fine),
    })
    .map(({ path, search, role, body }) => ({
      operationId,
      method: operation.method.toUpperCase(),
      target: `/api${path}${search}`,
      headers: { 'X-API-Key': String(keys[role]), ...body.headers },
      body: body.bytes,
    }));
}

function requestTo(operation: Operation, keys: Keys): fc.Arbitrary<FuzzRequest> {
  const { operationId, parameters } = operation;
  return fc
    .record({
      method: fc.oneof(
        { weight: 30, arbitrary: fc.constant(operation.method.toUpperCase()) },
        { weight: 1, arbitrary: fc.constantFrom('HEAD', 'OPTIONS', 'PUT', 'DELETE', 'PATCH', 'TRACE', 'PROPFIND') },
      ),
      path: pathOf(operation, hostileId(operation)),
      search: searchOf(parameters.filter((parameter) => parameter.in === 'query')),
      named: headersOf(parameters.filter((parameter) => parameter.in === 'header')),
      key: keyHeaders(keys),
      other: otherHeaders,
      body: bodyOf(operation),
    })
    .map(({ method, path, search, named, key, other, body }) => ({
      // A path that was bent far enough leads to something else.
      operationId: shapeOf(operation.path).test(path) && !/\/\.{0,2}(\/|$)/.test(path) ? operationId : undefined,
      method,
      target: `/api${path}${search}`,
      headers: { ...other, ...named, ...key, ...body.headers },
      body: body.bytes,
    }));
}

/** Docsets are deleted from the other end, so that there are always some. */
function idFor({ operationId }: Operation, name: string): fc.Arbitrary<string> {
  return operationId === 'deleteDocset' ? fc.integer({ min: 31, max: 90 }).map(String) : (IDS[name] ?? someId);
}

const shapeOf = (path: string): RegExp => new RegExp(`^${path.replaceAll(/\{\w+\}/g, '[^/]+')}$`);

function pathOf({ path }: Operation, valueOf: (name: string) => fc.Arbitrary<string>): fc.Arbitrary<string> {
  const names = [...path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => name);
  return fc
    .tuple(...names.map(valueOf))
    .map((given) => names.reduce((text, name, index) => text.replace(`{${name}}`, () => String(given[index])), path));
}

const hostileId =
  (operation: Operation) =>
  (name: string): fc.Arbitrary<string> => {
    const schema =
      operation.parameters.find((parameter) => parameter.in === 'path' && parameter.name === name)?.schema ?? {};
    const bent = fc.constantFrom('%', '%ff', '%2e%2e', '..', '.', '%00', '%2F', ';a=b');
    return fc.oneof(
      { weight: 8, arbitrary: idFor(operation, name) },
      { weight: 1, arbitrary: fitting(schema as Schema).map((value) => encode(String(value))) },
      { weight: 1, arbitrary: fc.oneof(hostileText.map(encode), bent) },
    );
  };

function searchOf(parameters: Parameter[]): fc.Arbitrary<string> {
  const pairs = parameters.map(({ name, schema, required = false }) =>
    sometimes(
      fc
        .oneof(
          { weight: 4, arbitrary: fitting(schema as Schema).map(String) },
          { weight: 2, arbitrary: fc.constantFrom('txt', 'meta,txt', 'txt,txt', 'pdf', '1', '100', 'true') },
          { weight: 1, arbitrary: hostileText },
        )
        .map((value) => `${name}=${encode(value)}`),
      required ? 20 : 1,
    ),
  );
  const stray = sometimes(
    fc.oneof(
      fc.tuple(hostileText, hostileText).map(([name, value]) => `${encode(name)}=${encode(value)}`),
      fc.constantFrom(
        'limit=1&limit=2',
        'fmt[]=txt',
        'fmt[a]=b',
        '&&&',
        '=',
        '%',
        'a=%ff',
        '?',
        'cursor=AA',
        'api_key=x',
      ),
    ),
    1 / 12,
  );
  return fc.tuple(stray, ...pairs).map(toSearch);
}

function toSearch(pairs: (string | undefined)[]): string {
  const present = pairs.filter((pair) => pair !== undefined);
  return present.length === 0 ? '' : `?${present.join('&')}`;
}

function headersOf(parameters: Parameter[]): fc.Arbitrary<Record<string, string>> {
  const given = parameters.map(({ name }) => {
    // A long wait is what it says, and would only keep the others waiting.
    const fine = fc.constantFrom('wait=0', 'bytes=0-3', 'bytes=-2', 'bytes=5-', '"abc"', 'W/"abc"', '*');
    const wrong = fc.oneof(
      headerText,
      fc.constantFrom('bytes=9-1', 'bytes=0-1,3-4', 'bytes=999999999999999999999-', 'wait=x', 'wait=-1', ','),
    );
    return sometimes(
      fc.oneof(fine, wrong).map((value): [string, string] => [name, value]),
      1 / 2,
    );
  });
  return fc.tuple(...given).map((pairs) => Object.fromEntries(pairs.filter((pair) => pair !== undefined)));
}

/** What a header can carry at all. */
const headerText = hostileText.map((text) => text.replaceAll(/[^\t\x20-\x7e\x80-\xff]/g, '').slice(0, 500));

function keyHeaders(keys: Keys): fc.Arbitrary<Record<string, string>> {
  const key = fc.oneof(
    {
      weight: 30,
      arbitrary: fc.constantFrom(...['miner', 'miner', 'admin', 'admin', 'packager'].map((name) => String(keys[name]))),
    },
    { weight: 15, arbitrary: fc.constantFrom(...Object.values(keys)) },
    { weight: 1, arbitrary: headerText },
    { weight: 1, arbitrary: fc.constantFrom(...Object.values(keys)).map((text) => `${text.slice(0, -1)}_`) },
  );
  return fc.oneof(
    { weight: 20, arbitrary: key.map((text) => ({ 'X-API-Key': text })) },
    { weight: 10, arbitrary: key.map((text) => ({ Authorization: `Bearer ${text}` })) },
    { weight: 1, arbitrary: key.map((text) => ({ Authorization: text })) },
    {
      weight: 1,
      arbitrary: fc.tuple(key, key).map(([one, other]) => ({ 'X-API-Key': one, Authorization: `bearer ${other}` })),
    },
    { weight: 1, arbitrary: fc.constant({}) },
  );
}

const otherHeaders: fc.Arbitrary<Record<string, string>> = fc.record(
  {
    Accept: fc.oneof(
      fc.constantFrom(
        '*/*',
        'application/json',
        'application/x-ndjson',
        'text/csv',
        'application/zip',
        'text/plain',
        'text/html;q=0',
        'x',
      ),
      headerText,
    ),
    'Accept-Encoding': fc.constantFrom('gzip', 'identity;q=0', 'br', '*;q=0', 'gzip;q=x'),
    'X-Request-Id': headerText,
    Origin: fc.constantFrom('https://elsewhere.example', 'null'),
    'X-Forwarded-For': headerText,
    'X-Forwarded-Proto': fc.constantFrom('https', 'javascript', 'http,https'),
    'X-Forwarded-Host': fc.constantFrom('elsewhere.example', 'a b', '<x>'),
    'X-HTTP-Method-Override': fc.constant('DELETE'),
    Expect: fc.constantFrom('100-continue'),
  },
  { requiredKeys: [] },
);

interface Body {
  bytes: Buffer | undefined;
  headers: Record<string, string>;
}

const noBody: fc.Arbitrary<Body> = fc.constant({ bytes: undefined, headers: {} });

function fittingBody(operation: Operation, mediaType: string, content: MediaType): fc.Arbitrary<Body> {
  const text = isJson(mediaType) ? fittingValue(content).map(toJson) : fittingText(operation, content);
  return text.map((given) => ({ bytes: bytesOf(given), headers: { 'Content-Type': mediaType } }));
}

const isJson = (mediaType: string): boolean => mediaType === 'application/json';

/** Lines and tables, of which the schema says nothing. */
const fittingText = ({ operationId }: Operation, content: MediaType): fc.Arbitrary<string> =>
  operationId === 'ingestDocuments'
    ? fc.array(documentLine, { maxLength: 4 }).map((lines) => lines.map((line) => `${toJson(line)}\n`).join(''))
    : fc.constantFrom(...examplesOf(content).map(String), 'ref\na\nb\n', '"a"\n"b"\n');

const fittingValue = (content: MediaType): fc.Arbitrary<unknown> =>
  fc.oneof(
    fitting((content.schema ?? {}) as Schema, KNOWN),
    ...examplesOf(content).map((example) => fc.constant(example)),
  );

const toJson = (value: unknown): string => JSON.stringify(value ?? null);

function bodyOf(operation: Operation): fc.Arbitrary<Body> {
  const stray = typed(
    fc.oneof(
      hostileText.map(bytesOf),
      fc.uint8Array({ maxLength: 50 }).map((bytes) => Buffer.from(bytes)),
    ),
  );
  const described = Object.entries(operation.bodies);
  if (described.length === 0) return fc.oneof({ weight: 12, arbitrary: noBody }, { weight: 1, arbitrary: stray });
  return fc.oneof(...described.map(([mediaType, content]) => hostileBody(operation, mediaType, content, stray)));
}

function hostileBody(
  operation: Operation,
  mediaType: string,
  content: MediaType,
  stray: fc.Arbitrary<Body>,
): fc.Arbitrary<Body> {
  const fine = fittingValue(content);
  const hostileLines = fc
    .array(fc.oneof(hostileLine, fc.constantFrom('ref', 'a', '"b"', '{"ref":"c"}', 'id,ref', ',,')), { maxLength: 4 })
    .map((lines) => lines.map((line) => `${line}\n`).join(''));
  const json = isJson(mediaType)
    ? fc.oneof({ weight: 1, arbitrary: fine }, { weight: 2, arbitrary: mutated(fine) }).map(toJson)
    : fc.oneof(fittingText(operation, content), hostileLines);
  const right = json.map((text): Body => ({ bytes: bytesOf(text), headers: { 'Content-Type': mediaType } }));
  return fc.oneof(
    { weight: 12, arbitrary: right },
    { weight: 1, arbitrary: typed(json.map(bytesOf)) },
    { weight: 1, arbitrary: stray },
    { weight: 1, arbitrary: json.map((text) => compressed(mediaType, bytesOf(text))) },
    {
      weight: 1,
      arbitrary: json.map((text): Body => ({
        bytes: bytesOf(text.slice(0, -1)),
        headers: { 'Content-Type': mediaType },
      })),
    },
    { weight: 1, arbitrary: noBody },
  );
}

const compressed = (mediaType: string, bytes: Buffer): Body => ({
  bytes: gzipSync(bytes),
  headers: { 'Content-Type': mediaType, 'Content-Encoding': 'gzip' },
});

/** Bytes under some media type and coding, which they need not have. */
function typed(bytes: fc.Arbitrary<Buffer>): fc.Arbitrary<Body> {
  const types = fc.constantFrom(
    'application/json',
    'application/json; charset=utf-16',
    'application/json; charset=x',
    'application/json;;',
    'application/problem+json',
    'application/x-ndjson',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'text/plain',
    'text/csv',
    'x',
    '',
  );
  const codings = fc.constantFrom(undefined, undefined, undefined, 'identity', 'gzip', 'br', 'deflate', 'zip');
  return fc.tuple(bytes, types, codings).map(([given, type, coding]) => ({
    bytes: given,
    headers: { 'Content-Type': type, ...(coding === undefined ? {} : { 'Content-Encoding': coding }) },
  }));
}

const documentLine: fc.Arbitrary<unknown> = fc.record({
  ref: fc.constantFrom('a', 'b', 'new', 'ä'),
  metadata: fc.record(
    {
      title: fc.string(),
      year: fc.integer(),
      date: fc.constantFrom('1850', '2001-01-01', 'x'),
      tags: fc.array(fc.string()),
    },
    { requiredKeys: [] },
  ),
  files: fc.record(
    {
      txt: fc.record({ text: fc.string() }),
      pdf: fc.record({
        base64: fc.base64String(),
        media_type: fc.constantFrom('application/pdf', 'x', 'text/html; charset=utf-8'),
      }),
    },
    { requiredKeys: [] },
  ),
});
const hostileLine: fc.Arbitrary<string> = fc.oneof(mutated(documentLine).map(toJson), hostileText);

function elsewhere(keys: Keys): fc.Arbitrary<FuzzRequest> {
  const path = fc.oneof(
    fc.constantFrom(
      '/',
      '/docs',
      '/docs/',
      '/docs/../package.json',
      '/openapi.json',
      '/openapi.yaml',
      '/healthz',
      '/metrics',
      '/problems',
      '/api',
      '/api/',
      '/API/collections',
      '/api//docsets',
      '/favicon.ico',
      '//',
      '/api/archives?key=x&sha256=y&filename=z&expires=1&signature=w',
      '*',
    ),
    hostileText.map((text) => `/problems/${encode(text)}`),
    hostileText.map((text) => `/api/${encode(text)}`),
    hostileText.map((text) => `/${encode(text)}`),
    // A key where it does not belong: the log must not keep it.
    fc.constantFrom(...Object.values(keys)).map((key) => `/api/docsets?api_key=${key}`),
    fc.constantFrom(...Object.values(keys)).map((key) => `/api/${key}/docsets`),
  );
  return fc.record({
    operationId: fc.constant(undefined),
    method: fc.constantFrom('GET', 'GET', 'GET', 'HEAD', 'POST', 'OPTIONS', 'DELETE'),
    target: path,
    headers: fc.tuple(keyHeaders(keys), otherHeaders).map(([key, other]) => ({ ...other, ...key })),
    body: fc.constant(undefined),
  });
}

const bytesOf = (text: string): Buffer => Buffer.from(text);

/** @param often how often it is there, for each time that it is not */
const sometimes = <T>(arbitrary: fc.Arbitrary<T>, often: number): fc.Arbitrary<T | undefined> =>
  fc.oneof(
    { weight: Math.max(1, Math.round(often)), arbitrary },
    { weight: Math.max(1, Math.round(1 / often)), arbitrary: fc.constant(undefined) },
  );

/** As a client would write it in a URL; half a surrogate pair cannot be written. */
const encode = (text: string): string => encodeURIComponent(text.toWellFormed());
