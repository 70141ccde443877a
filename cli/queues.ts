/** `adit queues render | status | redrive | purge | check`: the queues as operators run them. What they do is read when they are called. */
import { InvalidArgumentError, Option, type Command } from 'commander';
import ms from 'ms';
import { DEFAULT_ACTIVEMQ_SETTINGS } from '../queue-config/activemq/render-activemq.js';
import { print } from './miner-settings.js';
import type { CheckCommandOptions } from './queues-check.js';
import type { QueueOptions } from './queues-status.js';

interface RenderOptions {
  broker: 'activemq';
  eventTtl: number;
  requestTtl: number;
  idleQueue: number;
  deadLetter: number;
  memory: number;
  disk: string;
}

/** A packager may be silent for two minutes, and the broker may take a queue that was idle for as long just before an event. */
const SHORTEST_IDLE = '10m';

const LONGEST_CHECK = ms('45s');

const CHECK_HELP = `
The broker is BROKER_URL; BROKER_API_SERVER_PASSCODE, BROKER_PACKAGER_PASSCODE and BROKER_OPERATOR_PASSCODE are the passcodes of its accounts.
Exit code: 0, nothing is wrong; 2, something is; 1, it could not be checked.`;

export function addQueueCommands(queues: Command): void {
  const { eventTtlMs, requestTtlMs, idleQueueMs, deadLetterMs, memoryPercent, disk } = DEFAULT_ACTIVEMQ_SETTINGS;
  queues
    .command('render')
    .description('write the configuration of a broker')
    .addOption(new Option('--broker <broker>', 'which').choices(['activemq']).makeOptionMandatory())
    .addOption(time('--event-ttl', 'how long an event lives at the most, whatever packagers say', eventTtlMs))
    .addOption(time('--request-ttl', 'REQUEST_TTL of the api-servers, or longer', requestTtlMs))
    .addOption(
      new Option('--idle-queue <duration>', 'how long an empty progress queue stays; no less than 10m')
        .argParser(readIdle)
        .default(idleQueueMs, ms(idleQueueMs)),
    )
    .addOption(time('--dead-letter', 'how long dead letters are kept', deadLetterMs))
    .addOption(
      new Option('--memory <percent>', 'of its heap, for messages').argParser(readPercent).default(memoryPercent),
    )
    .addOption(
      new Option('--disk <size>', 'for its journal, such as "4 gb"; BROKER_STORE_LIMIT goes before it')
        .argParser(readSize)
        .default(disk),
    )
    .action(render);
  asOperator(queues.command('status'))
    .description('what waits, since when, who takes it, and the dead letters with the reason')
    .action(async (options: QueueOptions) => (await import('./queues-status.js')).runStatus(options));
  asOperator(queues.command('redrive'))
    .description('send the dead letters again to the queues that they were on')
    .action(async (options: QueueOptions) => (await import('./queues-status.js')).runRedrive(options));
  asOperator(queues.command('purge'))
    .description('delete the dead letters')
    .action(async (options: QueueOptions) => (await import('./queues-status.js')).runPurge(options));
  const { eventTtlMs: ceiling } = DEFAULT_ACTIVEMQ_SETTINGS;
  queues
    .command('check')
    .description('prove that the broker is set up as Adit needs it, within a minute')
    .addOption(time('--event-ttl', 'how long any message lives at the most, as the broker was set up', ceiling))
    .addOption(time('--wait', 'how long to wait for an idle queue to be removed', LONGEST_CHECK))
    .option('--json', 'answer in JSON, for programs')
    .addHelpText('after', CHECK_HELP)
    .action(async (options: CheckCommandOptions) => (await import('./queues-check.js')).runCheck(options));
}

function asOperator(command: Command): Command {
  return command
    .option('--json', 'answer in JSON, for programs')
    .addHelpText(
      'after',
      '\nThe broker is BROKER_URL; BROKER_OPERATOR_PASSCODE is the passcode of its account "operator".',
    );
}

async function render(options: RenderOptions): Promise<void> {
  const { renderActiveMQ } = await import('../queue-config/activemq/render-activemq.js');
  const xml = renderActiveMQ({
    ...DEFAULT_ACTIVEMQ_SETTINGS,
    eventTtlMs: options.eventTtl,
    requestTtlMs: options.requestTtl,
    idleQueueMs: options.idleQueue,
    deadLetterMs: options.deadLetter,
    memoryPercent: options.memory,
    disk: options.disk,
  });
  print(xml.trimEnd());
}

const time = (flag: string, description: string, fallback: number): Option =>
  new Option(`${flag} <duration>`, description).argParser(readDuration).default(fallback, ms(fallback));

/** @returns milliseconds */
function readDuration(text: string): number {
  if (!/^[1-9]\d{0,5}[smhd]$/.test(text))
    throw new InvalidArgumentError('It must be a duration such as 30m, 24h or 7d.');
  return ms(text as ms.StringValue);
}

function readIdle(text: string): number {
  const idle = readDuration(text);
  if (idle < ms(SHORTEST_IDLE)) {
    throw new InvalidArgumentError(`It must be ${SHORTEST_IDLE} or more: a packager may be silent for two minutes.`);
  }
  return idle;
}

function readPercent(text: string): number {
  if (!/^[1-9]\d?$/.test(text)) throw new InvalidArgumentError('It must be a whole number from 1 to 99.');
  return Number(text);
}

function readSize(text: string): string {
  if (!/^[1-9]\d{0,5} ?[kmgt]b$/i.test(text))
    throw new InvalidArgumentError('It must be a size such as "500 mb" or "4 gb".');
  return text;
}
