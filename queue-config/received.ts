/** A message as the contract has it. */
import type { IMessage } from '@stomp/stompjs';
import type { ReceivedMessage } from './broker.js';
import type { StompConnection } from './stomp-connection.js';

/** Its reply address is canonical, however the broker wants it spelled. */
export function received({ dialect }: StompConnection, { headers: told, body }: IMessage): ReceivedMessage {
  const headers: ReceivedMessage['headers'] = told;
  const address = headers['reply-to'];
  if (address === undefined || dialect.canonical === undefined) return { headers, body };
  return { headers: { ...headers, 'reply-to': dialect.canonical(address) }, body };
}
