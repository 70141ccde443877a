/** What CONNECT and CONNECTED agree on. */
import type { Frame } from './frame-parser.js';
import { quoted, Refusal } from './refusal.js';

export const PROTOCOL_VERSION = '1.2';

/**
 * @throws {Refusal} for a client that does not speak 1.2. Versions 1.0 and 1.1 acknowledge and escape otherwise; whoever offers
 * only these is told so rather than half understood.
 */
export function checkVersion(frame: Frame): void {
  const offered = frame.headers.get('accept-version') ?? '1.0';
  if (offered.split(',').some((version) => version.trim() === PROTOCOL_VERSION)) return;
  throw new Refusal(`this broker speaks STOMP ${PROTOCOL_VERSION} only`, {
    detail: `Supported protocol version is ${PROTOCOL_VERSION}; accept-version offered ${quoted(offered)}.`,
  });
}

/**
 * The heart-beats of a connection: each direction beats at the slower of what one side can and the other wants, or not
 * at all where either says 0.
 * @throws {Refusal} for a header that is not two numbers
 */
export function agreeHeartBeat(frame: Frame, ours: number): { sendEvery: number; receiveEvery: number } {
  const text = frame.headers.get('heart-beat') ?? '0,0';
  const match = /^(\d{1,9}),(\d{1,9})$/.exec(text);
  if (match === null) throw new Refusal(`heart-beat ${quoted(text)} is not two numbers of milliseconds`);
  const [canSend, wants] = [Number(match[1]), Number(match[2])];
  return {
    sendEvery: wants === 0 ? 0 : Math.max(wants, ours),
    receiveEvery: canSend === 0 ? 0 : Math.max(canSend, ours),
  };
}
