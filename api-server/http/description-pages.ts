/** What describes the service to people and programs. No key is needed. */
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import express, { type Router } from 'express';
import { parseContract, readContract } from './contract.js';
import { PROBLEMS, ProblemError, isProblemSlug, problemType, type ProblemSlug } from './problems.js';

const DOCS_PAGE = `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <title>Adit API</title>
    <link rel="stylesheet" href="/docs/swagger-ui.css" />
  </head>
  <body>
    <div id="page"></div>
    <script src="/docs/swagger-ui-bundle.js"></script>
    <script src="/docs/page.js"></script>
  </body>
</html>
`;
const DOCS_SCRIPT = `SwaggerUIBundle({ url: '/openapi.json', dom_id: '#page', deepLinking: true, showExtensions: true });\n`;

export function descriptionPages(): Router {
  const yaml = readContract();
  const json = JSON.stringify(parseContract(yaml));
  const swaggerUi = dirname(createRequire(import.meta.url).resolve('swagger-ui-dist/package.json'));
  const router = express.Router();
  router.get('/', (_request, response) => response.redirect('/docs'));
  router.get('/openapi.yaml', (_request, response) => response.type('application/yaml').send(yaml));
  router.get('/openapi.json', (_request, response) => response.type('application/json').send(json));
  router.get('/docs', (_request, response) => response.type('html').send(DOCS_PAGE));
  router.get('/docs/page.js', (_request, response) => response.type('text/javascript').send(DOCS_SCRIPT));
  for (const file of ['swagger-ui.css', 'swagger-ui-bundle.js']) {
    router.get(`/docs/${file}`, (_request, response) => response.sendFile(file, { root: swaggerUi }));
  }
  router.get('/problems', (_request, response) => {
    const slugs = Object.keys(PROBLEMS) as ProblemSlug[];
    response.type('text/plain').send(slugs.map((slug) => `${problemType(slug)}\n  ${PROBLEMS[slug].title}\n`).join(''));
  });
  router.get('/problems/:slug', (request, response) => {
    const { slug } = request.params;
    if (!isProblemSlug(slug)) throw new ProblemError('problem-not-found');
    const { status, title, description } = PROBLEMS[slug];
    response.type('text/plain').send(`${title}\n\n${description}\n\nStatus ${status}, type ${problemType(slug)}\n`);
  });
  return router;
}
