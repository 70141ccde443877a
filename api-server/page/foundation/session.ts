/** Who uses the page. The key lives in this tab's session and in no URL. */
import { signal } from '@preact/signals';
import type { components } from '../../http/openapi-types.js';
import { KEY } from './key.js';

export type Me = components['schemas']['Me'];

const keySignal = signal<string | undefined>(sessionStorage.getItem(KEY) ?? undefined);
const refusalSignal = signal<string | undefined>(undefined);
const meSignal = signal<Me | undefined>(undefined);

export const currentKey = (): string | undefined => keySignal.value;
/** Why the last key was not good, in words. */
export const refusal = (): string | undefined => refusalSignal.value;
/** Undefined until the server has said. */
export const me = (): Me | undefined => meSignal.value;

export function signIn(key: string, who: Me): void {
  sessionStorage.setItem(KEY, key);
  refusalSignal.value = undefined;
  meSignal.value = who;
  keySignal.value = key;
}

export const introduce = (who: Me): void => void (meSignal.value = who);

/** @param why undefined where the user wanted it */
export function signOut(why?: string): void {
  sessionStorage.removeItem(KEY);
  refusalSignal.value = why;
  meSignal.value = undefined;
  keySignal.value = undefined;
}
