/** A service with the sample, and one of strings that attack the page. */
import { SOTU, sotuDocuments } from '../../cli/sample/sotu.js';
import { fill, type FreshApiServer } from '../api-server/fresh-api-server.js';

/** The State of the Union addresses. */
export async function fillSample(server: FreshApiServer): Promise<void> {
  const documents: object[] = [];
  for await (const document of sotuDocuments()) documents.push(document);
  const { id, ...facts } = SOTU;
  await fill(server, id, documents, facts);
}

/** Each of them does something in a page that takes text for HTML, for a script or for a URL; the last ones disturb how it looks. */
export const HOSTILE = [
  '<img src=x onerror=pwned>',
  '<script>pwned</script>',
  '"><svg onload=pwned>',
  "' onmouseover='pwned",
  'javascript:pwned',
  '</textarea><iframe srcdoc="<script>parent.pwned</script>">',
  '{{constructor.constructor("pwned")()}}',
  '&lt;em&gt;&lt;img src=x onerror=pwned&gt;</em>',
  '\u202eright to left\u2066 for ever',
  `a${'\u0301'.repeat(60)}`,
  'W'.repeat(400),
  '__proto__',
] as const;

/** A collection in which every text that a document may bring is hostile. */
export async function fillHostile(server: FreshApiServer): Promise<void> {
  const documents = HOSTILE.flatMap((text, number) =>
    [1, 2].map((copy) => ({
      ref: `${text.slice(0, 100)} ${copy}`,
      metadata: {
        title: text,
        creator: text,
        date: `19${10 + number}`,
        subject: text,
        'a <b>field</b>': text,
        link: `javascript:pwned//${text}`,
        [text.slice(0, 60)]: copy,
      },
      files: { txt: { text: `needle ${text} needle <em>needle</em> ${text}`, media_type: 'text/html' } },
    })),
  );
  await fill(server, 'hostile', documents, { name: HOSTILE[0], description: HOSTILE[1] });
}
