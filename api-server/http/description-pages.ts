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
    <link rel="icon" type="image/png" href="/docs/favicon-32x32.png" />
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
  let json: string | undefined;
  const swaggerUi = dirname(createRequire(import.meta.url).resolve('swagger-ui-dist/package.json'));
  const router = express.Router();
  router.get('/openapi.yaml', (_request, response) => response.type('application/yaml').send(yaml));
  router.get('/openapi.json', (_request, response) => {
    json ??= JSON.stringify(parseContract(yaml));
    response.type('application/json').send(json);
  });
  router.get('/docs', (_request, response) => response.type('html').send(DOCS_PAGE));
  router.get('/docs/page.js', (_request, response) => response.type('text/javascript').send(DOCS_SCRIPT));
  for (const file of ['swagger-ui.css', 'swagger-ui-bundle.js', 'favicon-32x32.png']) {
    router.get(`/docs/${file}`, (_request, response) => response.sendFile(file, { root: swaggerUi }));
  }
  const listed = problemsPage();
  router.get('/problems', (_request, response) => response.type('html').send(listed));
  router.get('/problems/:slug', (request, response) => {
    const { slug } = request.params;
    if (!isProblemSlug(slug)) throw new ProblemError('problem-not-found');
    response.type('html').send(problemPage(slug));
  });
  return router;
}

function problemPage(slug: ProblemSlug): string {
  const { status, title, description } = PROBLEMS[slug];
  return page(
    title,
    `<h1>${escapeHtml(title)}</h1>
<p>${escapeHtml(description)}</p>
<p>Status ${status}, type <code>${problemType(slug)}</code></p>
<p><a href="/problems">All problems</a> · <a href="/docs">The API</a></p>`,
  );
}

function problemsPage(): string {
  const slugs = (Object.keys(PROBLEMS) as ProblemSlug[]).sort();
  const rows = slugs.map((slug) => {
    const { status, title } = PROBLEMS[slug];
    return `<li><a href="${problemType(slug)}"><code>${problemType(slug)}</code></a> (${status}): ${escapeHtml(title)}</li>`;
  });
  return page('Problems', `<h1>Problems</h1>\n<ul>\n${rows.join('\n')}\n</ul>\n<p><a href="/docs">The API</a></p>`);
}

const page = (title: string, body: string): string => `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>${escapeHtml(title)} – Adit</title></head>
<body>
${body}
</body>
</html>
`;

const escapeHtml = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
