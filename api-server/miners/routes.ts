/** Miners over HTTP: who is asking, as the server sees it. */
import type { Request } from 'express';
import type { Answer, Route } from '../http/route.js';
import type { Parts } from '../parts.js';
import { ANY_ROLE, type Caller } from './caller.js';
import { nameOf } from './miners.js';

export function minerRoutes({ knex }: Pick<Parts, 'knex'>): Route[] {
  return [{ method: 'get', path: '/me', roles: ANY_ROLE, handler: me }];

  async function me(_request: Request, { id, role, key }: Caller): Promise<Answer> {
    // PACKAGER_KEY belongs to nobody in the database.
    const name = id === 'packager' ? id : await nameOf(knex, id);
    return { json: { name, role, key } };
  }
}
