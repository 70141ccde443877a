/** For those who run the service: is it well, and how much does it do. No key is needed. */
import express, { type Router } from 'express';
import type { Parts } from '../parts.js';
import { ProblemError } from './problems.js';

export function operatorPages({ knex, metrics }: Pick<Parts, 'knex' | 'metrics'>): Router {
  const router = express.Router();
  router.get('/healthz', async (_request, response) => {
    try {
      await knex.raw('select 1');
    } catch (cause) {
      throw new ProblemError('database-unavailable', undefined, {}, { cause, headers: { 'Retry-After': '5' } });
    }
    response.set('Cache-Control', 'no-store').json({ status: 'ok' });
  });
  router.get('/metrics', async (_request, response) => {
    response.set('Content-Type', metrics.contentType).send(await metrics.metrics());
  });
  return router;
}
