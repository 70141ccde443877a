/** How a drain gives back what is not its own, where an UNSUBSCRIBE alone would keep it. */
import type { IMessage } from '@stomp/stompjs';
import type { RefuseAll } from './dialect.js';
import type { StompConnection, Subscription } from './stomp-connection.js';

/**
 * Where messages stay ours after an UNSUBSCRIBE: what came beyond the end is on its queue again when this is over. The end of the connection
 * would bring it back as well, but a moment later than it is confirmed, and the next drain would not find it.
 */
export async function leaveNothing(
  connection: StompConnection,
  refuseAll: RefuseAll,
  end: { subscription: Subscription; acknowledged: Promise<void>; isEmptyHanded: boolean; last: IMessage },
): Promise<void> {
  const { subscription, acknowledged, isEmptyHanded, last } = end;
  const leave = async (): Promise<boolean> => {
    await subscription.end();
    await passAll(connection);
    if (isEmptyHanded && !connection.hasStrays()) return false;
    await giveAllBack(connection, refuseAll, last);
    return true;
  };
  // All of ours is acknowledged by then: where this fails, the connection does, and not the drain.
  const left = leave().catch((error: unknown) => connection.drop(error as Error));
  const [gaveBack] = await Promise.all([left, acknowledged]);
  if (gaveBack === true) await connection.close();
}

/** @param last any message that came on the connection */
async function giveAllBack(connection: StompConnection, refuseAll: RefuseAll, last: IMessage): Promise<void> {
  const id = last.headers['subscription'] ?? '';
  const headers = { ...refuseAll.subscribeHeaders, id };
  await connection.subscribe(refuseAll.silentQueue(), headers, () => undefined).confirmed;
  connection.giveBackById(refuseAll.everything(last.headers['ack'] ?? ''), id, giveBackHeaders(connection));
  await passAll(connection);
}

/** Resolves when the broker has done all that it was asked to on this connection, and we have all that came of it. */
async function passAll(connection: StompConnection): Promise<void> {
  const { nowhere } = connection.dialect.drain;
  if (nowhere !== undefined) await connection.send(nowhere, {}, '');
}

/** Of the NACK that gives a message back. */
export const giveBackHeaders = ({ dialect }: StompConnection): Readonly<Record<string, string>> | undefined =>
  dialect.drain.end === 'fence' ? dialect.drain.giveBackHeaders : undefined;
