/** The `meta` format: a document's metadata as JSON-LD in the words of schema.org. The same metadata gives the same bytes. */

export type Metadata = Record<string, unknown>;

export interface Described {
  ref: string;
  title: string | null;
  creator: string | null;
  date: string | null;
  metadata: Metadata;
}

/** Fields that schema.org has words for; all others become `additionalProperty`. */
const KNOWN = ['title', 'creator', 'author', 'date', 'issue_date', 'abstract', 'language', 'url', 'uri'];

export function jsonLd({ ref, title, creator, date, metadata }: Described): Buffer {
  const others = Object.keys(metadata)
    .filter((name) => !KNOWN.includes(name))
    .sort();
  const document = {
    '@context': 'https://schema.org',
    '@type': 'CreativeWork',
    identifier: ref,
    name: title ?? undefined,
    creator: creators(metadata) ?? creator ?? undefined,
    datePublished: date ?? undefined,
    abstract: metadata['abstract'],
    inLanguage: metadata['language'],
    url: metadata['url'] ?? metadata['uri'],
    additionalProperty: others.map((name) => ({ '@type': 'PropertyValue', name, value: metadata[name] })),
  };
  return Buffer.from(`${JSON.stringify(document, undefined, 2)}\n`);
}

function creators(metadata: Metadata): object | undefined {
  const value = metadata['creator'] ?? metadata['author'];
  const names = (Array.isArray(value) ? value : [value]).filter((name): name is string => typeof name === 'string');
  const people = names.map((name) => ({ '@type': 'Person', name }));
  return people.length > 1 ? people : people[0];
}
