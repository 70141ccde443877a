/** Opens the search engine that the configuration names. */
import type { ApiServerConfig } from '../../config.js';
import type { Parts } from '../../parts.js';
import { databaseEngine } from './database-engine.js';
import { openSearchEngine } from './open-search-engine.js';
import type { SearchEngine } from './search-engine.js';

export function openEngine(
  { searchUrl }: Pick<ApiServerConfig, 'searchUrl'>,
  parts: Pick<Parts, 'knex' | 'content'>,
): SearchEngine {
  return searchUrl === undefined ? databaseEngine(parts.knex) : openSearchEngine(parts, searchUrl);
}
