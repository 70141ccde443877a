/** What express-openapi-validator does for each request, each operation or each start, and need not. */
import { createRequire } from 'node:module';
import type { Ajv, AnySchemaObject, ValidateFunction } from 'ajv';

type PathToRegexp = (path: string, options: Record<string, boolean>) => object;
type UseAjvCache = (ajv: Ajv, schema: AnySchemaObject, key: string) => ValidateFunction;

const requireBeside = createRequire(createRequire(import.meta.url).resolve('express-openapi-validator'));
const paths = requireBeside('path-to-regexp') as { pathToRegexp: PathToRegexp };
const schemas = requireBeside('./middlewares/util') as { useAjvCache: UseAjvCache };
const description = requireBeside('./framework/openapi.schema.validator') as { OpenAPISchemaValidator: unknown };

const compilePattern = paths.pathToRegexp;

/**
 * Should the library ever do these things in another way, requests and starts are only slower. From now on
 * - the pattern of a path is compiled once, and not for one path after the other at each request, until one fits: with some thirty
 *   paths that is a quarter of all that a poll leaves to the garbage collector;
 * - a schema of `components` is compiled once, and not within each operation, body and answer that refers to it. The library puts all
 *   of openapi.yaml into each schema for that; its Ajv knows those of `components` anyway, and finds them where a schema has no name;
 * - the schema of OpenAPI descriptions is not compiled, by which openapi.yaml is not checked at a start.
 */
export function makeValidatorLean(): void {
  const patterns = new Map<string, object>();
  paths.pathToRegexp = (path, options) =>
    kept(patterns, path + JSON.stringify(options), () => compilePattern(path, options));

  const compiled = new WeakMap<Ajv, Map<string, ValidateFunction>>();
  schemas.useAjvCache = (ajv, schema, key) => {
    const ofThis = kept(compiled, ajv, () => new Map<string, ValidateFunction>());
    return kept(ofThis, key, () => ajv.compile(withoutDescription(schema)));
  };

  description.OpenAPISchemaValidator = class {
    readonly validate = () => ({ errors: [] });
  };
}

function withoutDescription(schema: AnySchemaObject): AnySchemaObject {
  const own = { ...schema };
  delete own['paths'];
  delete own['components'];
  return own;
}

/** What is kept under a key; made where there is nothing yet. */
function kept<K, V>(
  store: { get: (key: K) => V | undefined; set: (key: K, value: V) => unknown },
  key: K,
  make: () => V,
): V {
  let value = store.get(key);
  if (value === undefined) store.set(key, (value = make()));
  return value;
}
