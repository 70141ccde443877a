/** The HTTP interface: what every request passes through, and the route table. */
import express, { type Express, type NextFunction, type Request, type Response } from 'express';
import type { Knex } from 'knex';
import { collectionRoutes } from '../collections/routes.js';
import { docsetRoutes } from '../docsets/routes.js';
import { documentRoutes } from '../documents/routes.js';
import { authentication, type Authenticated } from '../miners/authenticate.js';
import { minerRoutes } from '../miners/routes.js';
import { operationRoutes } from '../operations/routes.js';
import type { Parts } from '../parts.js';
import { sendAnswer } from './answers.js';
import { checkedByContract } from './contract.js';
import { descriptionPages } from './description-pages.js';
import { describeError, renderProblem } from './errors.js';
import { logAndTime } from './observation.js';
import { operatorPages } from './operator-pages.js';
import { page } from './page.js';
import { ProblemError } from './problems.js';
import { jsonBody, refuseUnstorableText } from './request-body.js';
import type { Route } from './route.js';
import { openToAllOrigins, securityHeaders } from './security-headers.js';

/** The route table: each feature's routes are listed at the top of its `routes.ts`. */
export const routeTable = (parts: Parts): Route[] => [
  ...collectionRoutes(parts),
  ...documentRoutes(parts),
  ...docsetRoutes(parts),
  ...parts.dumps.routes,
  ...minerRoutes(parts),
  ...operationRoutes(parts),
];

/** @param running gets the work of each request for as long as it runs, also where its client has gone */
export function createApp(parts: Parts, running = new Set<Promise<void>>()): Express {
  const app = express();
  app.disable('x-powered-by');
  // Only documents have an ETag: a poll must never be answered 304.
  app.disable('etag');
  // A proxy in front of us is on this host or network; what it says of the client only goes into links and the log.
  app.set('trust proxy', ['loopback', 'linklocal', 'uniquelocal']);
  app.use(logAndTime(parts), securityHeaders(), openToAllOrigins);
  app.use(withoutSecondBasePath, operatorPages(parts), descriptionPages());
  app.use(page());
  if (parts.dumps.download !== undefined) app.use('/api', parts.dumps.download);
  app.use('/api', identify(parts), jsonBody(), refuseUnstorableText);
  app.use(checkedByContract(parts.config));
  app.use('/api', complainToCallersOnly);
  app.use('/api', router(routeTable(parts), running), admit);
  app.use(() => {
    throw new ProblemError('path-unknown');
  });
  app.use(renderProblem(parts.log, describeError));
  return app;
}

/** Clients of the first Adit put the base path before what `Location` says, which did not have it then. */
function withoutSecondBasePath(request: Request, _response: Response, next: NextFunction): void {
  if (request.url.startsWith('/api/api/')) {
    request.url = request.url.slice('/api'.length);
    request.originalUrl = request.url;
  }
  next();
}

/** Who is asking, found out once for each request; `row` only where the first to ask wanted something read along. */
type Identify = (along?: Knex.QueryBuilder) => Promise<Authenticated>;

const identifyOf = (response: Response): Identify => response.locals['identify'] as Identify;

/** Nothing is done for a caller before it is known, and a body is not even read. */
function identify(parts: Parts) {
  const authenticate = authentication(parts);
  return async (request: Request, response: Response, next: NextFunction) => {
    let found: Promise<Authenticated> | undefined;
    const identifyOnce: Identify = (along) => (found ??= authenticate(request, along));
    response.locals['identify'] = identifyOnce;
    if (hasBody(request)) await identifyOnce();
    next();
  };
}

const hasBody = ({ headers }: Request): boolean =>
  headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0';

/** Who is asking comes before what is wrong with the request: a stranger learns nothing about it. */
async function complainToCallersOnly(error: unknown, _request: Request, response: Response, next: NextFunction) {
  // A link to an archive is its own proof: nobody is asked who comes by one.
  if ('identify' in response.locals) await identifyOf(response)();
  next(error);
}

/** Nor what there is not. */
async function admit(_request: Request, response: Response, next: NextFunction): Promise<void> {
  await identifyOf(response)();
  next();
}

function router(table: Route[], running: Set<Promise<void>>) {
  const routes = express.Router({ caseSensitive: true });
  for (const { method, path, roles, handler, reads } of table) {
    routes[method](path, async (request, response) => {
      const { caller, row } = await identifyOf(response)(reads?.(request));
      if (!roles.includes(caller.role)) {
        throw new ProblemError(
          'role-not-allowed',
          `This is for ${roles.join(', ')}; your key is for a ${caller.role}.`,
        );
      }
      const work = (async () => sendAnswer(request, response, await handler(request, caller, row)))();
      running.add(work);
      await work.finally(() => running.delete(work));
    });
  }
  return routes;
}
