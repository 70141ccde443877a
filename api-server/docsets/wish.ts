/** What a request for a new docset asks for: a JSON body, or a list of members that is uploaded. */
import type { Request } from 'express';
import { queryParam } from '../http/route.js';
import { SET_OPERATIONS, type SetOperation } from './combine-docsets.js';
import type { DocsetFacts, Origin } from './make-docset.js';
import { namedMembers } from './named-members.js';
import { readMemberList } from './read-member-list.js';

type Body = DocsetFacts & { query?: unknown; members?: (string | number)[] } & Partial<
    Record<SetOperation, string | string[]>
  >;

export interface Wish {
  facts: DocsetFacts;
  origin: Origin;
}

/** @throws {ProblemError} `media-type-not-supported`; the members of an uploaded list are read later */
export function readWish(request: Request): Wish {
  const unknown = queryParam(request, 'unknown') === 'report' ? 'report' : 'refuse';
  const list = readMemberList(request);
  if (list !== undefined) return { facts: factsOfQuery(request), origin: { type: 'named', members: list, unknown } };
  const { name, description, collection, ...body } = request.body as Body;
  const facts = { ...factsOfQuery(request), ...given({ name, description, collection }) };
  if (body.members !== undefined) {
    return { facts, origin: { type: 'named', members: namedMembers(body.members), unknown } };
  }
  const how = SET_OPERATIONS.find((operation) => body[operation] !== undefined);
  if (how === undefined) return { facts, origin: { type: 'query', query: body.query } };
  return { facts, origin: { type: 'combined', how, docsets: [body[how] ?? []].flat() } };
}

function factsOfQuery(request: Request): DocsetFacts {
  return given({
    name: queryParam(request, 'name'),
    description: queryParam(request, 'description'),
    collection: queryParam(request, 'collection'),
  });
}

function given(facts: { [Key in keyof DocsetFacts]: DocsetFacts[Key] | undefined }): DocsetFacts {
  return Object.fromEntries(Object.entries(facts).filter(([, value]) => value !== undefined));
}
