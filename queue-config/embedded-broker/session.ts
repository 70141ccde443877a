/** One connection: from its CONNECT frame to the end. */
import { encodeFrame, type HeaderList } from './frame-encoder.js';
import { CLIENT_COMMANDS, createFrameParser, type Frame } from './frame-parser.js';
import { agreeHeartBeat, checkVersion, PROTOCOL_VERSION } from './handshake.js';
import { FRAME_BYTES_BEFORE_CONNECT, type Limits } from './limits.js';
import { watchLiveness, type Liveness } from './liveness.js';
import type { Log } from './log-event.js';
import type { Queues } from './queues.js';
import { overLimit, Refusal } from './refusal.js';
import { createCommands, type Commands } from './commands.js';
import type { Transport, TransportEvents } from './transport.js';

export interface SessionOptions {
  /** A number of its own, for the log and the `session` header. */
  number: number;
  transport: Transport;
  queues: Queues;
  limits: Limits;
  /** What all sessions together hold of frames that are not complete. */
  arriving: { bytes: number };
  /** Resolves when everything persistent so far is on the disk. */
  durable: () => Promise<void>;
  /** Undefined: nobody is asked for a login. */
  mayLogIn: ((login: string, passcode: string) => boolean) | undefined;
  log: Log;
  onClosed: () => void;
}

export interface Session extends TransportEvents {
  /** Says why, and closes. */
  refuse(refusal: Refusal): void;
  /** Ends it without giving anything back: the broker stops. */
  abandon(): void;
}

export function createSession(options: SessionOptions): Session {
  const { number, transport, limits, arriving, log } = options;
  let liveness: Liveness | undefined;
  let commands: Commands | undefined;
  let state: 'new' | 'open' | 'closed' = 'new';
  let suspended = false;
  let reserved = 0;

  const parser = createFrameParser({
    commands: CLIENT_COMMANDS,
    limits: () => (state === 'new' ? { ...limits, frameBytes: FRAME_BYTES_BEFORE_CONNECT } : limits),
    onFrame: receive,
  });
  const connectTimer = setTimeout(() => {
    refuse(new Refusal(`no CONNECT within ${limits.connectMs} ms`, { detail: 'The time to connect is limited.' }));
  }, limits.connectMs);

  function send(frame: Buffer): void {
    liveness?.noteSent();
    transport.send(frame);
  }

  function sendError(refusal: Refusal, receipt: string | undefined): void {
    log({ event: 'refused', connection: number, peer: transport.peer, message: refusal.message });
    const headers: [string, string][] = [
      ['message', refusal.message],
      ['content-type', 'text/plain'],
    ];
    if (receipt !== undefined) headers.push(['receipt-id', receipt]);
    if (state === 'new') headers.push(['version', PROTOCOL_VERSION]);
    send(encodeFrame('ERROR', headers, Buffer.from(`${refusal.detail}\n`)));
  }

  function refuse(refusal: Refusal, receipt?: string): void {
    if (state === 'closed') return;
    sendError(refusal, receipt);
    close(refusal.message, 'consumer lost');
  }

  /** Ends the session; the connection goes once everything is sent. */
  function close(reason: string, cause: 'consumer lost' | 'consumer left'): void {
    if (state === 'closed') return;
    release(reason);
    commands?.close(cause);
    transport.close();
  }

  /** Accounts for the frame that has arrived in part. */
  function reserve(bytes: number): void {
    arriving.bytes += bytes - reserved;
    const grown = bytes > reserved;
    reserved = bytes;
    if (grown && arriving.bytes > limits.arrivingBytes) {
      throw overLimit('the memory for frames that arrive', limits.arrivingBytes, 'bytes', { fatal: true });
    }
  }

  function release(reason: string): void {
    state = 'closed';
    clearTimeout(connectTimer);
    liveness?.stop();
    parser.stop();
    reserve(0);
    log({ event: 'disconnected', connection: number, peer: transport.peer, reason });
    options.onClosed();
  }

  function receive(frame: Frame): void {
    // From here on it is the memory for messages that counts.
    reserve(0);
    try {
      if (state === 'new') connect(frame);
      else commands?.execute(frame);
    } catch (error) {
      const refusal = error instanceof Refusal ? error : faultOf(error);
      const receipt = frame.headers.get('receipt');
      if (refusal.fatal) refuse(refusal, receipt);
      else sendError(refusal, receipt);
    }
  }

  function faultOf(error: unknown): Refusal {
    log({ event: 'fault', connection: number, error: error instanceof Error ? (error.stack ?? '') : String(error) });
    return new Refusal('the broker failed to execute this frame');
  }

  function connect(frame: Frame): void {
    if (frame.command !== 'CONNECT' && frame.command !== 'STOMP') {
      throw new Refusal(`${frame.command} before CONNECT`, { detail: 'The first frame has to be CONNECT or STOMP.' });
    }
    checkVersion(frame);
    const login = frame.headers.get('login');
    if (options.mayLogIn?.(login ?? '', frame.headers.get('passcode') ?? '') === false) {
      throw new Refusal('access refused, login or passcode is wrong');
    }
    const beats = agreeHeartBeat(frame, limits.heartBeatMs);
    clearTimeout(connectTimer);
    state = 'open';
    commands = createCommands({
      ...options,
      send,
      isWritable: () => transport.backlog <= limits.outgoingBytes,
      confirm,
      close: () => close('DISCONNECT', 'consumer left'),
    });
    send(encodeFrame('CONNECTED', connectedHeaders(number, limits)));
    liveness = watchLiveness({
      transport,
      ...beats,
      stalledMs: limits.stalledMs,
      onDead: (reason) => {
        onGone(reason);
        transport.destroy();
      },
    });
    log({ event: 'connected', connection: number, peer: transport.peer, login });
  }

  /** RECEIPT, where one was asked for; `durable` is what it has to wait for. */
  function confirm(frame: Frame, durable?: Promise<void>, then?: () => void): void {
    const receipt = frame.headers.get('receipt');
    const answer = (): void => {
      if (receipt !== undefined) send(encodeFrame('RECEIPT', [['receipt-id', receipt]]));
      then?.();
    };
    if (durable === undefined) {
      answer();
      return;
    }
    durable.then(answer, (error: unknown) => {
      refuse(new Refusal('the broker cannot write its journal', { detail: String(error) }), receipt);
    });
  }

  function onGone(reason: string): void {
    if (state === 'closed') return;
    release(reason);
    commands?.close('consumer lost');
    transport.close();
  }

  return {
    refuse,
    onGone,
    onBytes(chunk) {
      liveness?.noteReceived();
      try {
        parser.push(chunk);
        if (state === 'open') reserve(parser.held);
      } catch (error) {
        refuse(error instanceof Refusal ? error : faultOf(error));
      }
      // Whoever does not read its receipts sends no more either.
      if (state === 'open' && !suspended && transport.backlog > limits.outgoingBytes) {
        suspended = true;
        transport.pause();
        liveness?.suspend(true);
      }
    },
    onRelief() {
      if (state !== 'open') return;
      if (suspended && transport.backlog <= limits.outgoingBytes) {
        suspended = false;
        liveness?.suspend(false);
        transport.resume();
      }
      commands?.serve();
    },
    abandon() {
      if (state === 'closed') return;
      release('the broker stops');
      transport.destroy();
    },
  };
}

function connectedHeaders(session: number, { heartBeatMs }: Limits): HeaderList {
  return [
    ['version', PROTOCOL_VERSION],
    ['server', 'adit/1'],
    ['session', String(session)],
    ['heart-beat', `${heartBeatMs},${heartBeatMs}`],
  ];
}
