// Who may import whom (style: one contract, two sides; vendor clients only in their adapters). Types count as much as
// code: a side that imports the other "just for a type" is no longer on its own.

const modules = (...names) => `(^|/)node_modules/(@types/)?(${names.join('|')})(/|$)`;
const PRODUCT = '^(api-server|packager|queue-config|cli)/';

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    {
      name: 'no-cycles',
      comment:
        'Two files that need each other are one idea in two places, or two ideas in each. Types alone may point back.',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    {
      name: 'no-unresolved-imports',
      comment: 'Scripts (.mjs) are run from the compiled product, where their imports lie elsewhere.',
      severity: 'error',
      from: { pathNot: '\\.mjs$' },
      to: { couldNotResolve: true },
    },
    {
      name: 'contract-stands-alone',
      comment: 'queue-config is the contract of both sides and imports nothing of ours.',
      severity: 'error',
      from: { path: '^queue-config/' },
      to: { path: '^(api-server|packager|cli|test|docker|docs)/' },
    },
    {
      name: 'api-server-knows-no-packager',
      comment: 'The two sides talk over message queues and HTTP only.',
      severity: 'error',
      from: { path: '^api-server/' },
      to: { path: '^(packager|cli|test)/' },
    },
    {
      name: 'page-by-the-contract-alone',
      comment: 'The page runs in browsers: of the api-server it has the types of openapi.yaml.',
      severity: 'error',
      from: { path: '^api-server/page/' },
      to: { path: '^(api-server|queue-config)/', pathNot: '^api-server/(page/|http/openapi-types\\.ts$)' },
    },
    {
      name: 'page-for-browsers-alone',
      comment: 'It is bundled, and served as files.',
      severity: 'error',
      from: { pathNot: '^api-server/page/' },
      to: { path: '^api-server/page/' },
    },
    {
      name: 'packager-knows-no-api-server',
      comment: 'The two sides talk over message queues and HTTP only.',
      severity: 'error',
      from: { path: '^packager/' },
      to: { path: '^(api-server|cli|test)/' },
    },
    {
      name: 'contract-by-its-front-door',
      comment: 'The sides see of queue-config what its index exports.',
      severity: 'error',
      from: { path: '^(api-server|packager)/' },
      to: { path: '^queue-config/', pathNot: '^queue-config/index\\.ts$' },
    },
    {
      name: 'cli-needs-no-tests',
      severity: 'error',
      from: { path: '^cli/' },
      to: { path: '^test/' },
    },
    {
      name: 'stomp-only-in-queue-config',
      severity: 'error',
      from: { path: PRODUCT, pathNot: '^queue-config/' },
      to: { path: modules('@stomp/[^/]+', 'ws') },
    },
    {
      name: 's3-only-in-s3-adapters',
      comment: 'A multipart upload is an idea of S3, so its file is part of the adapter.',
      severity: 'error',
      from: { path: PRODUCT, pathNot: '/([^/]*s3[^/]*|multipart-upload)\\.ts$' },
      to: { path: modules('@aws-sdk/[^/]+', '@smithy/[^/]+') },
    },
    {
      name: 'sql-only-in-api-server',
      comment: 'The packager has no database.',
      severity: 'error',
      from: { path: PRODUCT, pathNot: '^api-server/' },
      to: { path: modules('pg', 'knex', '@electric-sql/[^/]+') },
    },
    {
      name: 'zip-only-in-packager',
      severity: 'error',
      from: { path: PRODUCT, pathNot: '^packager/' },
      to: { path: modules('archiver') },
    },
    {
      name: 'product-without-dev-dependencies',
      comment: 'They are not in the images. (A type may come from one, and what the page needs is bundled.)',
      severity: 'error',
      from: { path: PRODUCT, pathNot: '^api-server/page/' },
      to: { dependencyTypes: ['npm-dev'], dependencyTypesNot: ['type-only'], pathNot: modules('@types/[^/]+') },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'node', 'default', 'types'] },
  },
};
