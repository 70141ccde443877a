/** The same search as a program that a miner can run. */
import type { Query, Sort } from './wish.js';

export interface Programmed {
  /** Of the service, without a slash at the end. */
  origin: string;
  collection: string;
  query: Query;
  sort: Sort;
}

export const LANGUAGES = {
  json: { label: 'JSON', write: ({ query }: Programmed): string => json(query) },
  curl: { label: 'curl', write: asCurl },
  python: { label: 'Python', write: asPython },
  r: { label: 'R', write: asR },
} as const;

export type Language = keyof typeof LANGUAGES;

/** What turns the direction of a text, or is not to be seen: in a program it is spelled out, so that it is what it looks like. */
const UNSEEN = /[\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g;

export const json = (value: unknown, indent = 2): string =>
  JSON.stringify(value, undefined, indent).replace(
    UNSEEN,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );

const urlOf = ({ origin, collection }: Programmed): string => `${origin}/api/collections/${collection}/search`;

function asCurl(search: Programmed): string {
  const body = json({ query: search.query, sort: search.sort });
  return `curl -s '${urlOf(search)}' \\
  -H "X-API-Key: $ADIT_KEY" -H 'Content-Type: application/json' \\
  -d '${body.replaceAll("'", "'\\''")}'
`;
}

/** A query has objects, lists, texts and numbers, which Python writes as JSON does. */
function asPython(search: Programmed): string {
  return `import os, requests

answer = requests.post(
    "${urlOf(search)}",
    headers={"X-API-Key": os.environ["ADIT_KEY"]},
    json={"query": ${json(search.query).replaceAll('\n', '\n          ')},
          "sort": "${search.sort}"},
)
answer.raise_for_status()
print(answer.json()["hits"])
`;
}

function asR(search: Programmed): string {
  return `# install.packages(c("httr2", "jsonlite"))
library(httr2)

answer <- request("${urlOf(search)}") |>
  req_headers("X-API-Key" = Sys.getenv("ADIT_KEY")) |>
  req_body_json(list(query = ${literalInR(search.query)}, sort = "${search.sort}")) |>
  req_perform() |>
  resp_body_json()
answer$hits
`;
}

function literalInR(value: unknown): string {
  if (Array.isArray(value)) return `list(${value.map(literalInR).join(', ')})`;
  if (typeof value === 'object' && value !== null) {
    const members = Object.entries(value).map(([name, inner]) => `${json(name)} = ${literalInR(inner)}`);
    // An empty list would be written as [].
    return members.length === 0 ? 'structure(list(), names = character())' : `list(${members.join(', ')})`;
  }
  return json(value);
}
