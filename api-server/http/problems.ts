/** Every problem this service answers with (RFC 9457). `type` is `/problems/<slug>`, which explains it in words. */

export interface Problem {
  status: number;
  title: string;
  /** What happened and what to do about it, for the page at `/problems/<slug>`. */
  description: string;
}

/** The one catalogue: a slug is here exactly when some code throws it. */
export const PROBLEMS = {
  'request-invalid': {
    status: 400,
    title: 'The request does not fit the API description',
    description: 'A field, parameter or id is unknown, missing or of the wrong type. `errors` points to each of them.',
  },
  'body-not-json': {
    status: 400,
    title: 'The body is not JSON',
    description: 'The body was announced as JSON and could not be read as JSON.',
  },
  'query-not-supported': {
    status: 400,
    title: 'The query uses something that is not supported',
    description:
      'A clause, an option or a field of the query is not known here. `errors` points to it and says what is. Nothing is ever ignored in a query.',
  },
  'format-unknown': {
    status: 400,
    title: 'There is no such format',
    description: 'A format is `meta`, or one that documents of the collection have. `formats` lists them.',
  },
  'cursor-invalid': {
    status: 400,
    title: 'The cursor is not one of ours',
    description: 'Follow the link with rel="next" as it is, or start again without a cursor.',
  },
  'collection-required': {
    status: 400,
    title: 'Which collection?',
    description: 'This server has several collections: name one in `collection`.',
  },
  'key-missing': {
    status: 401,
    title: 'A key is needed',
    description: 'Send your key in the header X-API-Key, or as Authorization: Bearer.',
  },
  'key-invalid': {
    status: 401,
    title: 'The key is not valid',
    description: 'The key is unknown or was revoked. Ask the people who run this service for another.',
  },
  'key-expired': {
    status: 401,
    title: 'The key has expired',
    description: 'The key was good until a moment that is past. Ask the people who run this service for another.',
  },
  'role-not-allowed': {
    status: 403,
    title: 'Your key may not do this',
    description: 'The key is valid, but for another role.',
  },
  'not-your-docset': {
    status: 403,
    title: 'The docset is somebody else’s',
    description: 'A docset can be seen and used by its owner only.',
  },
  'not-your-watch': {
    status: 403,
    title: 'The watch is somebody else’s',
    description: 'A watch can be seen and used by its owner only.',
  },
  'path-unknown': {
    status: 404,
    title: 'There is nothing at this path',
    description: 'See the API description at /docs.',
  },
  'collection-not-found': {
    status: 404,
    title: 'There is no such collection',
    description: 'GET /api/collections lists the collections.',
  },
  'ingest-not-found': {
    status: 404,
    title: 'There is no such ingest run',
    description: 'It never existed, or it was left open for more than a day. Start another: POST to …/ingests.',
  },
  'watch-not-found': {
    status: 404,
    title: 'There is no such watch',
    description: 'It never existed or was deleted. GET /api/collections/{id}/watch lists yours.',
  },
  'document-not-found': {
    status: 404,
    title: 'There is no such document',
    description: 'The id of a document is the number at the end of its `url`.',
  },
  'file-not-found': {
    status: 404,
    title: 'The document does not have this format',
    description: '`formats` of the document lists what it has.',
  },
  'segment-not-found': {
    status: 404,
    title: 'There is no such segment',
    description: 'Segments are named in the listing that packagers read.',
  },
  'docset-not-found': {
    status: 404,
    title: 'There is no such docset',
    description: 'It never existed or was deleted. GET /api/docsets lists yours.',
  },
  'problem-not-found': {
    status: 404,
    title: 'There is no such problem type',
    description: 'GET /problems lists them all.',
  },
  'method-not-allowed': {
    status: 405,
    title: 'This path does not know this method',
    description: 'The header Allow lists the methods that it knows.',
  },
  'not-acceptable': {
    status: 406,
    title: 'None of the accepted media types can be given',
    description: '`available` lists the media types that can.',
  },
  'collection-exists': {
    status: 409,
    title: 'There is a collection with this id already',
    description: 'Choose another id, or ingest into the one that is there.',
  },
  'ingest-finished': {
    status: 409,
    title: 'The ingest run is over',
    description: 'A run ends once. Start another to send more documents: POST to …/ingests.',
  },
  'withdrawal-too-large': {
    status: 409,
    title: 'More than half of the collection would be withdrawn',
    description:
      'The source lacks more than half of the documents, as one does that is empty or the wrong one. Nothing was withdrawn. Finish the run with `"most": true` if that is right.',
  },
  'dump-gone': {
    status: 410,
    title: 'Nobody wants this dump any more',
    description: 'The dump was dismissed or its docset deleted. A packager stops working on it.',
  },
  'body-too-large': {
    status: 413,
    title: 'The body is too large',
    description:
      'A JSON body may have 1 MiB, and one that makes a docset 64 MiB. Documents are ingested as a stream of lines of up to 64 MiB.',
  },
  'media-type-not-supported': {
    status: 415,
    title: 'The body has a media type that is not understood here',
    description:
      'Send Content-Type: application/json; for documents to ingest, application/x-ndjson; for lists of members, that or text/csv. See the API description at /docs.',
  },
  'range-not-satisfiable': {
    status: 416,
    title: 'The range lies outside the document',
    description: 'The header Content-Range says how long the document is.',
  },
  'dump-not-requested': {
    status: 404,
    title: 'No dump was asked for',
    description: 'A GET starts nothing. POST to the same URL to ask for the dump, then poll it with GET.',
  },
  'dump-not-found': {
    status: 404,
    title: 'There is no such dump',
    description: 'The docset has no dump with this id. GET /api/dumps lists yours.',
  },
  'result-not-ready': {
    status: 404,
    title: 'There is no archive yet',
    description: 'The dump is still being made. Poll its URL until `done` is true.',
  },
  'dump-not-successful': {
    status: 409,
    title: 'The dump has no archive',
    description: 'The dump failed or was dismissed. Its status says why; POST to the dump URL asks for a new one.',
  },
  'since-not-found': {
    status: 404,
    title: 'There is no such earlier dump',
    description: '`since` names a dump by its `id`. GET /api/dumps lists yours.',
  },
  'since-not-comparable': {
    status: 422,
    title: 'No dump can be made relative to that one',
    description:
      'The earlier dump must have been successful, of the same collection, and have all the wanted formats: whoever has it would otherwise lack what has not changed since.',
  },
  'since-gone': {
    status: 410,
    title: 'The docset of the earlier dump was deleted',
    description: 'Its members are no longer known, so that nobody can tell what has changed. Ask for the whole dump.',
  },
  'archive-expired': {
    status: 410,
    title: 'The archive is gone',
    description: 'Archives are kept for a limited time. POST to the dump URL asks for a new one.',
  },
  'link-expired': {
    status: 410,
    title: 'The link is no longer good',
    description: 'Links to archives are short-lived. GET the archive URL of the dump for a fresh one, then resume.',
  },
  'quota-exceeded': {
    status: 429,
    title: 'That is more than your quota',
    description:
      'Your keys may read so many documents a minute, and have so many dumps made at a time. Try again after the seconds in Retry-After; RateLimit and RateLimit-Policy tell what is left of what.',
  },
  'polled-too-soon': {
    status: 429,
    title: 'The dump was polled a moment ago',
    description:
      'A dump that is being made may be polled about once a second with one key. Retry-After of each answer says when the next poll is worth while.',
  },
  'packager-lost': {
    status: 500,
    title: 'No packager finished the dump',
    description: 'The dump was asked for three times, and each time nothing more was heard of it. Ask for it again.',
  },
  'packaging-overdue': {
    status: 500,
    title: 'No packager finished the dump in time',
    description:
      'The dump was asked for three times, and the last packager reported for longer than a dump may take without finishing it. Ask for it again, or for fewer documents.',
  },
  'packager-killed': {
    status: 500,
    title: 'Packagers died of the dump',
    description:
      'Several packagers ended without a word while they made this dump, so that it is given to no other. The people who run this service find the request among the dead letters.',
  },
  'packager-stalled': {
    status: 500,
    title: 'The packager got no bytes for too long',
    description: 'The packager gave up since nothing came from the source of the documents. Ask for the dump again.',
  },
  'packaging-failed': {
    status: 500,
    title: 'Packaging failed',
    description: 'The packager stopped with an error; `detail` has its words. Ask for the dump again.',
  },
  'source-unavailable': {
    status: 503,
    title: 'The packager could not reach the documents',
    description: 'The server that holds the documents did not answer the packager. Ask for the dump again.',
  },
  'source-refused': {
    status: 500,
    title: 'The packager was not let in',
    description:
      'The server that holds the documents refused the packager’s key: a fault in the set-up of this service.',
  },
  'listing-incomplete': {
    status: 500,
    title: 'The list of members broke off',
    description: 'The packager got only a part of the list of members, and an archive of a part is never made.',
  },
  'archive-not-verified': {
    status: 500,
    title: 'What was stored is not what was packed',
    description: 'The packager read the archive back, and its size or digest was wrong. Ask for the dump again.',
  },
  'archive-missing': {
    status: 500,
    title: 'The archive is not in the store',
    description: 'The packager reported an archive that is not there. Ask for the dump again.',
  },
  'storage-unavailable': {
    status: 503,
    title: 'The store of archives and documents cannot be reached',
    description: 'Try again after the time in Retry-After.',
  },
  'broker-unavailable': {
    status: 503,
    title: 'The message broker cannot be reached',
    description: 'Nothing was started. Try again after the time in Retry-After.',
  },
  'broker-refuses': {
    status: 503,
    title: 'The message broker does not tell',
    description: 'The broker was asked how its queues are, and refused or said nothing. `detail` has its words.',
  },
  'docset-empty': {
    status: 422,
    title: 'The docset would be empty',
    description: 'No document matches, or none is left over. A docset needs at least one member.',
  },
  'formats-not-in-docset': {
    status: 422,
    title: 'No document of the docset has these formats',
    description:
      'Nothing would be in the archive, and no dump was made. `formats` lists those that documents of it have.',
  },
  'members-unknown': {
    status: 422,
    title: 'Some members are not in the collection',
    description:
      '`unknown` lists the first of them. Nothing was made: a docset is never silently shorter than asked for. With `unknown=report` it is made of the others, and /docsets/{id}/unknown lists all that are not in it.',
  },
  'members-unreadable': {
    status: 422,
    title: 'The list of members cannot be read',
    description:
      'A line of NDJSON is a ref, an id, or an object with a `ref`, `id` or `url`; the first line of a CSV names its columns, and one of them is one of these. Nothing was made.',
  },
  'members-too-many': {
    status: 422,
    title: 'There are more members than can be named',
    description: '`limit` says how many can. Nothing was made: a list is never cut. A query may find any number.',
  },
  'collections-differ': {
    status: 422,
    title: 'The docsets are not all of one collection',
    description: 'A docset is of one collection, and so are all that it is made of.',
  },
  'internal-error': {
    status: 500,
    title: 'Something went wrong here',
    description: 'The fault is ours. The log has it under the request id in X-Request-Id.',
  },
  'query-too-slow': {
    status: 503,
    title: 'The query took too long',
    description: 'The database gave it up after a minute. Make the query narrower, or try again when less is going on.',
  },
  'search-engine-unavailable': {
    status: 503,
    title: 'The search engine cannot be reached',
    description: 'Nothing was found or made. Try again after the time in Retry-After.',
  },
  'search-index-behind': {
    status: 503,
    title: 'The search engine does not have all documents yet',
    description:
      'The collection has changed since its index was filled, and an answer would not be complete. Try again after the time in Retry-After; where that does not help, the people who run this service fill it with `adit reindex`.',
  },
  'database-unavailable': {
    status: 503,
    title: 'The database cannot be reached',
    description: 'Try again after the time in Retry-After.',
  },
} as const satisfies Record<string, Problem>;

export type ProblemSlug = keyof typeof PROBLEMS;

export interface ProblemOptions {
  /** What led to the problem; logged, never shown. */
  cause?: unknown;
  /** Further headers of the answer, such as `Retry-After`. */
  headers?: Readonly<Record<string, string>>;
}

/** Thrown anywhere below a route; the error middleware renders it. */
export class ProblemError extends Error {
  override readonly name = 'ProblemError';

  /** @param extras further members of the problem document, such as `errors` */
  constructor(
    readonly slug: ProblemSlug,
    readonly detail: string = PROBLEMS[slug].description,
    readonly extras: Readonly<Record<string, unknown>> = {},
    readonly options: ProblemOptions = {},
  ) {
    super(detail, options.cause === undefined ? undefined : { cause: options.cause });
  }
}

/** The problem document of an error. */
export function problemDocument({ slug, detail, extras }: ProblemError): Record<string, unknown> {
  const { status, title } = PROBLEMS[slug];
  return { type: problemType(slug), title, status, detail, ...extras };
}

export const problemType = (slug: ProblemSlug): string => `/problems/${slug}`;

export const isProblemSlug = (text: string): text is ProblemSlug => Object.hasOwn(PROBLEMS, text);
