/** What operators see and do over HTTP. Everything is asked for when it is wanted. */
import type { Request } from 'express';
import { queryParam, type Answer, type Route } from '../http/route.js';
import type { Role } from '../miners/caller.js';
import type { Parts } from '../parts.js';
import { dumpsOverview } from './dumps-overview.js';
import { purgeDeadLetters, queuesBody, redriveDeadLetters } from './queues.js';

const ADMINS: readonly Role[] = ['admin'];
const DAYS = 7;

export function operationRoutes({ config, knex }: Pick<Parts, 'config' | 'knex'>): Route[] {
  return [
    { method: 'get', path: '/admin/queues', roles: ADMINS, handler: queues },
    { method: 'post', path: '/admin/dead-letters/redrive', roles: ADMINS, handler: sendAgain },
    { method: 'delete', path: '/admin/dead-letters', roles: ADMINS, handler: remove },
    { method: 'get', path: '/admin/dumps', roles: ADMINS, handler: dumps },
  ];

  async function queues(): Promise<Answer> {
    return { json: await queuesBody(config) };
  }

  async function sendAgain(): Promise<Answer> {
    return { json: await redriveDeadLetters(config) };
  }

  async function remove(): Promise<Answer> {
    return { json: { deleted: await purgeDeadLetters(config) } };
  }

  async function dumps(request: Request): Promise<Answer> {
    return { json: await dumpsOverview(knex, Number(queryParam(request, 'days') ?? DAYS)) };
  }
}
