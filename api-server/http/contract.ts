/** openapi.yaml: every request is checked against it, and, where asked for, every JSON answer too. */
import { readFileSync } from 'node:fs';
import type { NextFunction, Request, RequestHandler, Response } from 'express';
import { middleware as openApiValidator } from 'express-openapi-validator';
import { CORE_SCHEMA, load } from 'js-yaml';
import type { ApiServerConfig } from '../config.js';
import { makeValidatorLean } from './lean-validator.js';

type ApiSpec = Exclude<Parameters<typeof openApiValidator>[0]['apiSpec'], string>;

/** The text of openapi.yaml: two folders up in the sources, and in the build as well. */
export const readContract = (): string => readFileSync(new URL('../../openapi.yaml', import.meta.url), 'utf8');

/** Every start reads it: this parser is the quick one. */
export const parseContract = (text: string): object => load(text, { schema: CORE_SCHEMA }) as object;

export function checkedByContract({ validateResponses }: Pick<ApiServerConfig, 'validateResponses'>): RequestHandler[] {
  makeValidatorLean();
  return [
    prepareForValidator,
    ...openApiValidator({
      apiSpec: parseContract(readContract()) as ApiSpec,
      validateRequests: { coerceTypes: false, removeAdditional: false },
      validateResponses,
      // Keys are checked before, so that a stranger hears of the key and not of the request.
      validateSecurity: false,
      validateApiSpec: false,
      fileUploader: false,
    }),
    ...(validateResponses ? [noteStatuses] : []),
  ];
}

/** Of the operation that the request has reached. */
function noteStatuses(request: Request, response: Response, next: NextFunction): void {
  const { openapi } = request as Request & { openapi?: { schema?: { responses?: object } } };
  const responses = openapi?.schema?.responses;
  if (responses !== undefined) response.locals['statuses'] = Object.keys(responses);
  next();
}

/** False where answers are checked, and openapi.yaml does not have this status for what was asked. */
export function isDescribed(response: Response, status: number): boolean {
  const statuses = response.locals['statuses'] as string[] | undefined;
  return statuses === undefined || statuses.includes(String(status));
}

export const isHead = (response: Response): boolean => response.locals['head'] === true;

/**
 * The validator knows only the methods in the description, and keeps a compiled schema for every spelling of
 * Content-Type that it sees, for ever: so HEAD is shown as the GET that it mirrors (Node leaves the body out by itself),
 * and the media type bare, and only where there is a body.
 */
function prepareForValidator(request: Request, response: Response, next: NextFunction): void {
  if (request.method === 'HEAD') {
    response.locals['head'] = true;
    request.method = 'GET';
  }
  const mediaType = request.headers['content-type']?.split(';')[0]?.trim().toLowerCase();
  if (mediaType === undefined || request.method === 'GET' || request.method === 'DELETE') {
    delete request.headers['content-type'];
  } else {
    request.headers['content-type'] = mediaType;
  }
  next();
}
