/** `adit queues render | status | redrive | purge | check`: the queues as operators run them. What they do is read when they are called. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { InvalidArgumentError, Option, type Command } from 'commander';
import ms from 'ms';
import { DEFAULT_ACTIVEMQ_SETTINGS } from '../queue-config/activemq/render-activemq.js';
import type { Account } from '../queue-config/operations/accounts.js';
import { DEFAULT_RABBITMQ_SETTINGS } from '../queue-config/rabbitmq/render-rabbitmq.js';
import { print } from './miner-settings.js';
import type { CheckCommandOptions } from './queues-check.js';
import type { QueueOptions } from './queues-status.js';

interface RenderOptions {
  broker: 'activemq' | 'artemis' | 'rabbitmq';
  eventTtl: number;
  requestTtl: number;
  idleQueue: number;
  deadLetter: number;
  memory: number;
  disk: string;
  vhost: string;
  folder: string;
  tls?: boolean;
  pair?: 'primary' | 'backup';
  output?: string;
}

/** A packager may be silent for two minutes, and the broker may take a queue that was idle for as long just before an event. */
const SHORTEST_IDLE = '10m';

const LONGEST_CHECK = ms('45s');

const RENDER_HELP = `
The files of Artemis and of RabbitMQ have the passcodes in them, as hashes: BROKER_API_SERVER_PASSCODE, BROKER_PACKAGER_PASSCODE
and BROKER_OPERATOR_PASSCODE. An account whose passcode is not set cannot get in.`;

const CHECK_HELP = `
The broker is BROKER_URL, each address of it; BROKER_API_SERVER_PASSCODE, BROKER_PACKAGER_PASSCODE and BROKER_OPERATOR_PASSCODE are the passcodes of its accounts.
RabbitMQ tells most of it by HTTP only: BROKER_MANAGEMENT_URL, such as http://rabbitmq:15672.
Exit code: 0, nothing is wrong; 2, something is; 1, it could not be checked.`;

export function addQueueCommands(queues: Command): void {
  const { eventTtlMs, requestTtlMs, idleQueueMs, deadLetterMs, memoryPercent, disk } = DEFAULT_ACTIVEMQ_SETTINGS;
  queues
    .command('render')
    .description('write the configuration of a broker')
    .addOption(
      new Option('--broker <broker>', 'which').choices(['activemq', 'artemis', 'rabbitmq']).makeOptionMandatory(),
    )
    .addOption(time('--event-ttl', 'how long an event lives at the most, whatever packagers say', eventTtlMs))
    .addOption(time('--request-ttl', 'REQUEST_TTL of the api-servers, or longer', requestTtlMs))
    .addOption(
      new Option('--idle-queue <duration>', 'how long an empty progress queue stays; no less than 10m')
        .argParser(readIdle)
        .default(idleQueueMs, ms(idleQueueMs)),
    )
    .addOption(time('--dead-letter', 'how long dead letters are kept', deadLetterMs))
    .addOption(
      new Option('--memory <percent>', 'of its heap (RabbitMQ: of the memory of the machine), for messages')
        .argParser(readPercent)
        .default(memoryPercent),
    )
    .addOption(
      new Option(
        '--disk <size>',
        'for its journal, such as "4 gb"; BROKER_STORE_LIMIT goes before it (Artemis: for what one queue has beyond the memory; RabbitMQ: what has to stay free)',
      )
        .argParser(readSize)
        .default(disk),
    )
    .option('--vhost <name>', 'RabbitMQ: the virtual host', DEFAULT_RABBITMQ_SETTINGS.virtualHost)
    .option('--folder <path>', 'RabbitMQ: where the files will lie for the broker', DEFAULT_RABBITMQ_SETTINGS.folder)
    .option(
      '--tls',
      'with TLS, and without it for the own machine only (RabbitMQ: with ca.pem, certificate.pem and key.pem from tls/ in that folder)',
    )
    .addOption(
      new Option(
        '--pair <role>',
        'Artemis: one of two on one folder, of which one serves (ActiveMQ Classic takes the same file for both)',
      ).choices(['primary', 'backup']),
    )
    .option('--output <folder>', 'write the files there, rather than print them')
    .addHelpText('after', RENDER_HELP)
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
      '\nThe broker is BROKER_URL; BROKER_OPERATOR_PASSCODE is the passcode of its account "operator".\n' +
        'RabbitMQ is asked by HTTP: BROKER_MANAGEMENT_URL, such as http://rabbitmq:15672.',
    );
}

async function render(options: RenderOptions): Promise<void> {
  const files = await renderFiles(options);
  if (options.output !== undefined) {
    mkdirSync(options.output, { recursive: true });
    // Passcodes, and what they are made of, are nobody else's concern.
    for (const [name, text] of files) writeFileSync(join(options.output, name), text, { mode: 0o640 });
    return;
  }
  const [first, ...others] = files;
  if (others.length === 0) print((first?.[1] ?? '').trimEnd());
  else for (const [name, text] of files) print(`#### ${name}\n${text.trimEnd()}\n`);
}

/** The files of a broker, each with its name. */
async function renderFiles(options: RenderOptions): Promise<(readonly [string, string])[]> {
  const decided = {
    eventTtlMs: options.eventTtl,
    requestTtlMs: options.requestTtl,
    idleQueueMs: options.idleQueue,
    deadLetterMs: options.deadLetter,
    memoryPercent: options.memory,
    disk: options.disk,
    tls: options.tls ?? false,
  };
  switch (options.broker) {
    case 'activemq': {
      const { renderActiveMQ } = await import('../queue-config/activemq/render-activemq.js');
      return [['activemq.xml', renderActiveMQ({ ...DEFAULT_ACTIVEMQ_SETTINGS, ...decided })]];
    }
    case 'artemis': {
      const { DEFAULT_ARTEMIS_SETTINGS, renderArtemisFiles } =
        await import('../queue-config/artemis/render-artemis.js');
      const settings = { ...DEFAULT_ARTEMIS_SETTINGS, ...decided, pair: options.pair };
      return Object.entries(renderArtemisFiles(settings, await readPasscodes()));
    }
    case 'rabbitmq': {
      const { renderRabbitMQ } = await import('../queue-config/rabbitmq/render-rabbitmq.js');
      const passcodes = await readPasscodes();
      const { folder, vhost: virtualHost } = options;
      return Object.entries(
        renderRabbitMQ({ ...DEFAULT_RABBITMQ_SETTINGS, ...decided, folder, virtualHost, passcodes }),
      );
    }
  }
}

/** Those that are set; what is missing is told. */
async function readPasscodes(): Promise<Partial<Record<Account, string>>> {
  const { ACCOUNTS, passcodeVariable } = await import('../queue-config/operations/accounts.js');
  const passcodes: Partial<Record<Account, string>> = {};
  for (const account of ACCOUNTS) {
    const passcode = process.env[passcodeVariable(account)];
    if (passcode) passcodes[account] = passcode;
    else process.stderr.write(`${passcodeVariable(account)} is not set: "${account}" will not get in.\n`);
  }
  return passcodes;
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
