/** What a docset is called where it is named. */
import type { Schemas } from '../foundation/api.js';

export type Docset = Schemas['Docset'];

export const nameOf = ({ id, name }: Pick<Docset, 'id' | 'name'>): string => name ?? `Docset ${id}`;
