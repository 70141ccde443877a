/** The HTTP interface: what every request passes through, and the route table. */
import express, { type Express, type NextFunction, type Request, type Response } from 'express';
import { collectionRoutes } from '../collections/routes.js';
import { docsetRoutes } from '../docsets/routes.js';
import { documentRoutes } from '../documents/routes.js';
import { authentication } from '../miners/authenticate.js';
import type { Caller } from '../miners/caller.js';
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
import type { Handler, Route } from './route.js';
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
  app.use('/api', admit, complainToCallersOnly);
  app.use('/api', router(routeTable(parts), running));
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

/**
 * Starts to find out who is asking. A request without a body is checked meanwhile; a body is not read before its sender is known.
 */
function identify(parts: Parts) {
  const authenticate = authentication(parts);
  return async (request: Request, response: Response, next: NextFunction) => {
    const caller = authenticate(request);
    response.locals['caller'] = caller;
    // Whoever awaits it hears of the failure; nobody may, where the request is found wrong first.
    caller.catch(() => undefined);
    if (hasBody(request)) await caller;
    next();
  };
}

const hasBody = ({ headers }: Request): boolean =>
  headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0';

/** Nothing is done for a caller before it is known. */
async function admit(_request: Request, response: Response, next: NextFunction): Promise<void> {
  response.locals['caller'] = await (response.locals['caller'] as Promise<Caller>);
  next();
}

/** Who is asking comes before what is wrong with the request: a stranger learns nothing about it. */
async function complainToCallersOnly(error: unknown, _request: Request, response: Response, next: NextFunction) {
  await (response.locals['caller'] as Promise<Caller> | Caller);
  next(error);
}

function router(table: Route[], running: Set<Promise<void>>) {
  const routes = express.Router({ caseSensitive: true });
  for (const { method, path, roles, handler } of table) {
    routes[method](path, async (request, response) => {
      const caller = response.locals['caller'] as Caller;
      if (!roles.includes(caller.role)) {
        throw new ProblemError(
          'role-not-allowed',
          `This is for ${roles.join(', ')}; your key is for a ${caller.role}.`,
        );
      }
      const work = answer(request, response, handler, caller);
      running.add(work);
      await work.finally(() => running.delete(work));
    });
  }
  return routes;
}

async function answer(request: Request, response: Response, handler: Handler, caller: Caller): Promise<void> {
  await sendAnswer(request, response, await handler(request, caller));
}
