/** The parts of stompit that the tests use; it comes without types. */
declare module 'stompit' {
  import type { Readable, Writable } from 'node:stream';

  type Headers = Record<string, string>;
  export interface Client {
    subscribe(headers: Headers, onMessage: (error: Error | null, message: Message) => void): { unsubscribe(): void };
    send(headers: Headers, options?: { onReceipt?: () => void }): Writable;
    ack(message: Message): void;
    disconnect(callback: (error: Error | null) => void): void;
    on(event: 'error', listener: (error: Error) => void): this;
  }
  export interface Message extends Readable {
    headers: Headers;
    readString(encoding: string, callback: (error: Error | null, body: string) => void): void;
  }
  const stompit: {
    connect(
      options: { host: string; port: number; connectHeaders: Headers },
      callback: (error: Error | null, client: Client) => void,
    ): void;
  };
  export default stompit;
}
