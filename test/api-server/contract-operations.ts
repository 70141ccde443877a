/** The operations that openapi.yaml describes, for tests that go through all of them. */
import { parseContract, readContract } from '../../api-server/http/contract.js';

export type Method = 'get' | 'post' | 'put' | 'patch' | 'delete';
const METHODS: readonly Method[] = ['get', 'post', 'put', 'patch', 'delete'];

interface Referable {
  $ref?: string;
}

export interface Parameter extends Referable {
  name: string;
  in: 'path' | 'query' | 'header';
  required?: boolean;
  schema: object;
  example?: string;
}

interface ExemplarySchema extends Referable {
  example?: unknown;
  const?: unknown;
  enum?: unknown[];
  allOf?: ExemplarySchema[];
  properties?: Record<string, ExemplarySchema>;
  required?: string[];
  items?: ExemplarySchema;
}

export interface MediaType {
  schema?: ExemplarySchema;
  example?: unknown;
  examples?: Record<string, { value: unknown }>;
}

interface Body extends Referable {
  content?: Record<string, MediaType>;
}

export interface Operation {
  method: Method;
  /** As in the description, such as `/docsets/{docset}`. */
  path: string;
  operationId: string;
  /** Those whom the description lets in. */
  roles: string[] | undefined;
  /** False where a signature stands for the key. */
  needsKey: boolean;
  parameters: Parameter[];
  /** By media type. */
  bodies: Record<string, MediaType>;
  /** By status. */
  responses: Record<string, Body>;
}

interface Described {
  operationId: string;
  'x-roles'?: string[];
  security?: unknown[];
  parameters?: Parameter[];
  requestBody?: Body;
  responses: Record<string, Body>;
}

export const contract = parseContract(readContract()) as {
  paths: Record<string, Partial<Record<Method, Described>> & { parameters?: Parameter[] }>;
};

export const operations: Operation[] = Object.entries(contract.paths).flatMap(([path, item]) =>
  METHODS.flatMap((method) => {
    const described = item[method];
    if (described === undefined) return [];
    return {
      method,
      path,
      operationId: described.operationId,
      roles: described['x-roles'],
      needsKey: described.security?.length !== 0,
      parameters: [...(item.parameters ?? []), ...(described.parameters ?? [])].map(resolve),
      bodies: described.requestBody === undefined ? {} : (resolve(described.requestBody).content ?? {}),
      responses: Object.fromEntries(
        Object.entries(described.responses).map(([status, response]) => [status, resolve(response)]),
      ),
    };
  }),
);

/** What a reference within the description leads to. */
export function resolve<T extends Referable>(value: T): T {
  if (value.$ref === undefined) return value;
  const found = value.$ref
    .slice(2)
    .split('/')
    .reduce<unknown>((node, name) => (node as Record<string, unknown>)[name], contract);
  return resolve(found as T);
}

/** The examples of a body, its schema's where it has none of its own. */
export function examplesOf({ example, examples, schema }: MediaType): unknown[] {
  if (examples !== undefined) return Object.values(examples).map(({ value }) => value);
  if (example !== undefined) return [example];
  const ofSchema = schema && resolve(schema).example;
  return ofSchema === undefined ? [] : [ofSchema];
}

/** The examples of a body; where it has none, one put together from those of its parts, as the page at `/docs` does it. */
export function shownOf(content: MediaType): unknown[] {
  const examples = examplesOf(content);
  if (examples.length > 0 || content.schema === undefined) return examples;
  const composed = compose(content.schema);
  return composed === undefined ? [] : [composed];
}

/** @returns undefined where a part shows nothing */
function compose(given: ExemplarySchema): unknown {
  const schema = resolve(given);
  if (schema.example !== undefined) return schema.example;
  if (schema.const !== undefined) return schema.const;
  if (schema.items !== undefined) {
    const item = compose(schema.items);
    return item === undefined ? undefined : [item];
  }
  if (schema.allOf !== undefined) {
    const parts = schema.allOf.map(compose);
    return parts.includes(undefined) ? undefined : (Object.assign({}, ...parts) as object);
  }
  if (schema.properties === undefined) return undefined;
  const members = (schema.required ?? []).map((name) => [name, compose(schema.properties?.[name] ?? {})] as const);
  return members.some(([, value]) => value === undefined) ? undefined : Object.fromEntries(members);
}
