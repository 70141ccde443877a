/** Headers for browsers. */
import type { NextFunction, Request, RequestHandler, Response } from 'express';
import helmet from 'helmet';

/** Of the page: everything is its own, no text becomes a script or a style, and none can be made into HTML. */
export const strictPolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join('; ');

/** Nothing is loaded from elsewhere; `upgrade-insecure-requests` is left out, since the service may be on plain HTTP. */
export const securityHeaders = (): RequestHandler =>
  helmet({
    contentSecurityPolicy: {
      useDefaults: false,
      directives: {
        defaultSrc: ["'none'"],
        scriptSrc: ["'self'"],
        // The documentation page sets styles from its script.
        styleSrc: ["'self'", "'unsafe-inline'"],
        imgSrc: ["'self'", 'data:'],
        connectSrc: ["'self'"],
        baseUri: ["'none'"],
        formAction: ["'none'"],
        frameAncestors: ["'none'"],
      },
    },
    // Whether a host is reached by TLS is for the proxy that ends it to say.
    strictTransportSecurity: false,
    crossOriginResourcePolicy: { policy: 'cross-origin' },
  });

/**
 * Pages on other hosts use the API, as with the first Adit. The key travels in a header that the page has to know, so there
 * are no credentials that a browser would add by itself.
 */
export function openToAllOrigins(request: Request, response: Response, next: NextFunction): void {
  response.set({
    'Access-Control-Allow-Origin': '*',
    'Access-Control-Expose-Headers':
      'Location, Link, Retry-After, X-Progress, X-Request-Id, ETag, Content-Range, Accept-Ranges, RateLimit, ' +
      'RateLimit-Policy, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset',
  });
  if (request.method !== 'OPTIONS') {
    next();
    return;
  }
  response.set({
    'Access-Control-Allow-Methods': 'GET, HEAD, POST, PUT, PATCH, DELETE',
    'Access-Control-Allow-Headers': 'Authorization, Content-Type, X-API-Key, Prefer, Range, If-Range, If-None-Match',
    'Access-Control-Max-Age': '600',
  });
  response.status(204).end();
}
