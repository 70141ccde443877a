import { createRequire } from 'node:module';
import type { Server } from 'node:http';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import express, { type Express } from 'express';
import supertest from 'supertest';
import { httpServerOf } from '../../api-server/http/http-server.js';

interface Compiler {
  compile: (this: Compiler, schema: object, ...more: unknown[]) => unknown;
}

describe('what every request passes through', () => {
  let app: Express;
  let server: Server;
  beforeEach(() => {
    app = express();
    server = httpServerOf(app);
  });
  afterEach(() => void server.close());

  test('a request and its response are born as the application’s, and are never made into something else', async () => {
    const born: unknown[] = [];
    const met: unknown[] = [];
    server.prependListener('request', (request, response) => {
      born.push(Object.getPrototypeOf(request), Object.getPrototypeOf(response));
    });
    app.get('/greeting', (request, response) => {
      met.push(Object.getPrototypeOf(request), Object.getPrototypeOf(response));
      response.status(203).json({ query: request.query, same: request.app === app && response.app === app });
    });
    const answer = await supertest(server).get('/greeting?of=whom').expect(203);
    expect(answer.body).toEqual({ query: { of: 'whom' }, same: true });
    expect(met).toEqual([app.request, app.response]);
    expect(met.map((prototype, index) => prototype === born[index])).toEqual([true, true]);
  });

  test('the pattern of a path is compiled for the first request, and not again', async () => {
    const validator = createRequire(import.meta.url).resolve('express-openapi-validator');
    const library = createRequire(validator)('path-to-regexp') as { pathToRegexp: (...args: unknown[]) => object };
    const compile = library.pathToRegexp;
    const compiled: unknown[] = [];
    library.pathToRegexp = (...args) => {
      compiled.push(args[0]);
      return compile(...args);
    };
    // Only now: it keeps what it finds when it is loaded.
    const { checkedByContract } = await import('../../api-server/http/contract.js');
    app.use(checkedByContract({ validateResponses: false }));
    app.get('/api/docsets/:docset/dump', (_request, response) => void response.json({}));
    await supertest(server).get('/api/docsets/1/dump').expect(200);
    expect(compiled).toContain('/api/docsets/:docset/dump');
    expect(new Set(compiled).size).toBe(compiled.length);
    const before = compiled.length;
    await supertest(server).get('/api/docsets/2/dump').expect(200);
    await supertest(server).get('/api/docsets/2/dump?fmt=txt&wrong=1').expect(400);
    expect(compiled).toHaveLength(before);
  });

  test('what is checked is compiled for the first request of its kind, without all of openapi.yaml in it', async () => {
    const validator = createRequire(import.meta.url).resolve('express-openapi-validator');
    const library = createRequire(validator)('ajv/dist/core') as { default: { prototype: Compiler } };
    const { compile } = library.default.prototype;
    const compiled: object[] = [];
    library.default.prototype.compile = function (schema, ...more) {
      compiled.push(schema);
      return compile.call(this, schema, ...more);
    };
    const { checkedByContract } = await import('../../api-server/http/contract.js');
    app.use(checkedByContract({ validateResponses: true }));
    app.get('/api/docsets/:docset/dump', (_request, response) => void response.json({}));
    try {
      // What it answers is not what a schema of `components` wants of it.
      const { text } = await supertest(server).get('/api/docsets/1/dump').expect(500);
      expect(text).toContain('/response must have required property');
      expect(compiled).not.toEqual([]);
      expect(compiled.filter((schema) => 'components' in schema || 'paths' in schema || '$id' in schema)).toEqual([]);
      const before = compiled.length;
      await supertest(server).get('/api/docsets/2/dump').expect(500);
      expect(compiled).toHaveLength(before);
    } finally {
      library.default.prototype.compile = compile;
    }
  });
});
