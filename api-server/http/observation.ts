/** A log line and a measurement for every request. */
import { randomUUID } from 'node:crypto';
import type { NextFunction, Request, RequestHandler, Response } from 'express';
import { pinoHttp } from 'pino-http';
import { Histogram } from 'prom-client';
import type { Parts } from '../parts.js';
import { redactor } from './redactor.js';

const REQUEST_ID = /^[A-Za-z0-9_-]{1,64}$/;

export function logAndTime({ config, log, metrics }: Pick<Parts, 'config' | 'log' | 'metrics'>): RequestHandler[] {
  const duration = new Histogram({
    name: 'adit_http_request_duration_seconds',
    help: 'Time from a request to the end of its answer',
    labelNames: ['method', 'route', 'status'],
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60],
    registers: [metrics],
  });
  const time = (request: Request, response: Response, next: NextFunction) => {
    const end = duration.startTimer();
    response.on('close', () => {
      // Only routes become labels: a path that somebody made up must not become a series.
      const route = (request.route as { path?: string } | undefined)?.path ?? 'none';
      end({ method: request.method, route, status: response.statusCode });
    });
    next();
  };
  return [logger(log, redactor(config.packagerKey)), time];
}

function logger(log: Parts['log'], redact: (text: string) => string): RequestHandler {
  const write = pinoHttp({
    logger: log,
    quietReqLogger: true,
    genReqId: (request, response) => {
      const sent = request.headers['x-request-id'];
      const id = typeof sent === 'string' && REQUEST_ID.test(sent) ? sent : randomUUID();
      response.setHeader('X-Request-Id', id);
      return id;
    },
    // Polls are many: they are seen at debug level, and what goes wrong at its own.
    customLogLevel: (_request, response, error) => {
      if (error !== undefined || response.statusCode >= 500) return 'error';
      return response.statusCode >= 400 ? 'info' : 'debug';
    },
    // Headers are not logged at all: keys are in them. In a URL they do not belong, but some will put them there.
    serializers: {
      req: ({ id, method, url }: { id: string; method: string; url: string }) => ({ id, method, url: redact(url) }),
      res: ({ statusCode }: { statusCode: number }) => ({ statusCode }),
    },
  });
  return (request, response, next) => {
    write(request, response);
    next();
  };
}
