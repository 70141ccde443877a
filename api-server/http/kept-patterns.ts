/** The patterns of paths, compiled once. */
import { createRequire } from 'node:module';

type PathToRegexp = (path: string, options: Record<string, boolean>) => object;

const validator = createRequire(import.meta.url).resolve('express-openapi-validator');
const library = createRequire(validator)('path-to-regexp') as { pathToRegexp: PathToRegexp };
const compile = library.pathToRegexp;
const patterns = new Map<string, object>();

/**
 * express-openapi-validator compiles the pattern of one path after the other at each request, until one fits: with some thirty
 * paths that is a quarter of all that a poll leaves to the garbage collector. From now on they are kept. There are as many as
 * openapi.yaml has paths, and a pattern has no state; should the library ever ask in another way, requests are only slower.
 */
export function keepPatterns(): void {
  library.pathToRegexp = (path, options) => {
    const key = path + JSON.stringify(options);
    let pattern = patterns.get(key);
    if (pattern === undefined) patterns.set(key, (pattern = compile(path, options)));
    return pattern;
  };
}
