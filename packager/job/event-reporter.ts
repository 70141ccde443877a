/** Reports about one job: events in their order, no more of them than the delivery rules allow. */
import type { Logger } from 'pino';
import {
  eventMessage,
  isReportDue,
  type Delivery,
  type EventContent,
  type PackageRequest,
  type Phase,
  type PhaseSpan,
} from '../../queue-config/index.js';

export interface JobProgress {
  percent: number;
  documents?: { done: number; total: number } | undefined;
  bytes?: number | undefined;
  remainingSeconds?: number | undefined;
}

export interface EventReporter {
  /** Phases so far. */
  readonly timeline: PhaseSpan[];
  /** Ends the phase before. */
  startPhase(phase: Phase): void;
  /** Ends the last phase. */
  endPhases(): void;
  /** Notes where the job is; it is sent when a report is due. */
  progress(progress: JobProgress): void;
  /** Resolves when the broker has confirmed the event. */
  say(content: Exclude<EventContent, { type: 'Progress' }>): Promise<void>;
  /** Ends the timer; nothing is said afterwards. */
  stop(): void;
}

/** How often it is asked whether a report is due: nothing else happens while a job waits for bytes. */
const TICK = 1000;

export function createEventReporter(
  delivery: Delivery,
  request: PackageRequest,
  { run, eventTtl, packager, log }: { run: number; eventTtl: number; packager: string; log: Logger },
): EventReporter {
  const timeline: PhaseSpan[] = [];
  let latest: JobProgress | undefined;
  let reported = { at: Date.now(), percent: 0 };
  let sequence = 0;
  let isStopped = false;
  let sending: Promise<void> = Promise.resolve();
  let isSending = false;

  const send = (content: EventContent): Promise<void> => {
    sequence += 1;
    const { dump, attempt, ticket } = request;
    const event = {
      ...content,
      packager,
      ...(dump === undefined ? {} : { dump, attempt, run, sequence, ticket }),
      timeline: [...timeline],
    };
    const message = eventMessage(request.replyTo, event, { eventTtl });
    // One after the other, so that they arrive in their order.
    const sent = sending.then(() => delivery.publish(message));
    sending = sent.catch(() => undefined);
    return sent;
  };

  const reportIfDue = (): void => {
    if (latest === undefined || isSending || isStopped) return;
    const now = { at: Date.now(), percent: latest.percent };
    if (!isReportDue(reported, now)) return;
    reported = now;
    isSending = true;
    send({ type: 'Progress', ...latest, percent: Math.floor(latest.percent), phase: timeline.at(-1)?.phase })
      // Progress may be lost: the next one says more. Where the connection is, `delivery.lost` ends the job.
      .catch((error: unknown) => log.warn({ err: error }, 'a progress event was not taken by the broker'))
      .finally(() => (isSending = false));
  };
  const timer = setInterval(reportIfDue, TICK);

  const endPhase = (): void => {
    const span = timeline.at(-1);
    if (span !== undefined) span.ended ??= new Date();
  };

  return {
    timeline,
    startPhase(phase) {
      endPhase();
      timeline.push({ phase, started: new Date() });
    },
    endPhases: endPhase,
    progress(progress) {
      latest = progress;
      reportIfDue();
    },
    say(content) {
      if (isStopped) return Promise.resolve();
      // Behind its end, nobody wants to hear how far a job was.
      latest = undefined;
      return send(content);
    },
    stop() {
      isStopped = true;
      clearInterval(timer);
    },
  };
}
