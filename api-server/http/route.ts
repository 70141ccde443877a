/** What a feature contributes to the HTTP interface: routes whose handlers return an answer or throw. */
import type { Request } from 'express';
import type { Knex } from 'knex';
import type { Caller, Role } from '../miners/caller.js';

/** One row of the route table. */
export interface Route {
  method: 'get' | 'post' | 'put' | 'patch' | 'delete';
  /** Express path below `/api`, such as `/docsets/:id`. */
  path: string;
  /** Who may come in; everybody else is answered 403 `role-not-allowed`. */
  roles: readonly Role[];
  handler: Handler;
  /**
   * One row that the handler begins with, read in the statement that finds the caller's key: for what is asked so often that a
   * statement more would count. The request fits openapi.yaml; who asks is not known yet.
   */
  reads?: (request: Request) => Knex.QueryBuilder;
}

/**
 * Gets a request that fits openapi.yaml and a caller in one of the route's roles.
 * @param row what `reads` has found; null throughout where there is nothing, undefined where it was not read
 */
export type Handler = (request: Request, caller: Caller, row?: object) => Answer | Promise<Answer>;

/** What a handler returns. At most one of `json`, `bytes` and `stream`; none of them is an empty body. */
export interface Answer {
  /** Default 200. */
  status?: number;
  headers?: Readonly<Record<string, string>>;
  /** A JSON document; checked against openapi.yaml where `VALIDATE_RESPONSES` is on. */
  json?: object;
  /** A body that is at hand; the handler sets `Content-Type`. */
  bytes?: Uint8Array | string;
  /** A body that is made while it is sent, at the speed of the reader; the handler sets `Content-Type`. */
  stream?: AsyncIterable<Uint8Array | string>;
}

/** A path parameter. The API description demands it, so it is there. */
export function param(request: Request, name: string): string {
  const value = request.params[name];
  if (typeof value !== 'string') throw new TypeError(`route ${request.path} has no path parameter ${name}`);
  return value;
}

/** A query parameter that the API description declares as one text or number. */
export function queryParam(request: Request, name: string): string | undefined {
  // The validator has turned it into the type that the description names, which is not the one that express knows.
  const value: unknown = request.query[name];
  if (value === undefined || typeof value === 'string') return value;
  return JSON.stringify(value);
}

/** Where the client found us, without a slash at the end: `http://server:3000`. */
export function originOf(request: Request): string {
  return `${request.protocol}://${request.get('host') ?? 'localhost'}`;
}
