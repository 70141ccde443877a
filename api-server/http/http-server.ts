/** The HTTP server of an Express application. */
import { createServer, IncomingMessage, ServerResponse, type Server } from 'node:http';
import type { Express } from 'express';

/**
 * An HTTP server whose requests and responses are born as the application's. Express gives each of them another prototype when it
 * comes; an object whose prototype changes is slow for V8 from then on, as is what touches it, and it stays in memory until the
 * whole heap is collected. With middleware alone that is three times the processor for a request, and 15 kB. It leaves be what has
 * its prototype already.
 * @param app the outermost application; its `request` and `response` are replaced, with what they had
 */
export function httpServerOf(app: Express): Server {
  class AppRequest extends IncomingMessage {}
  class AppResponse extends ServerResponse<AppRequest> {}
  Object.setPrototypeOf(AppRequest.prototype, app.request);
  Object.setPrototypeOf(AppResponse.prototype, app.response);
  app.request = AppRequest.prototype as Express['request'];
  app.response = AppResponse.prototype as Express['response'];
  return createServer({ IncomingMessage: AppRequest, ServerResponse: AppResponse }, app);
}
