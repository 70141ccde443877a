/** A real S3 server: Ceph's object gateway over one monitor and one storage daemon in memory. */
import { execFile } from 'node:child_process';
import { randomBytes, randomUUID } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { freePorts } from './free-ports.js';
import { makeRunFolder } from './run-folder.js';
import { findProgram, startServerProcess, type ServerProcess } from './server-process.js';
import { Hopeless, waitUntil } from './wait-until.js';

const PROGRAMS = ['radosgw', 'radosgw-admin', 'ceph', 'ceph-mon', 'ceph-osd', 'ceph-authtool', 'monmaptool'] as const;
type Program = (typeof PROGRAMS)[number];

/** The paths of the programs that it takes. */
export type RadosgwInstallation = Readonly<Record<Program, string>>;

export interface RadosgwOptions {
  /** How long a day of a lifecycle rule lasts, in seconds; a real day by default. Rules are then run as often. */
  lifecycleDaySeconds?: number;
}

export interface Radosgw {
  /** `http://127.0.0.1:port`; buckets are path-style. */
  readonly endpoint: string;
  readonly port: number;
  readonly region: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** What the AWS SDK and our own configuration read, endpoint and path style included. */
  readonly environment: Readonly<Record<string, string>>;
  readonly pid: number;
  /** Makes an empty bucket under a name of its own; answers the name. */
  createBucket(): Promise<string>;
  /** A client for tests to look behind the scenes with. Who makes it calls `destroy()`. */
  client(): S3Client;
  /** Ends the gateway; what is stored is kept for `restart`. */
  stop(): Promise<void>;
  /** `kill -9` of the gateway; what is stored is kept for `restart`. */
  kill(): Promise<void>;
  /** Starts the gateway again, on the same port. */
  restart(): Promise<void>;
  freeze(): void;
  thaw(): void;
  /** Ends all of it for good and deletes its data. */
  close(): Promise<void>;
  log(characters?: number): string;
}

const REGION = 'default';

/** Ceph's programs, where all that are needed are installed. */
export function findRadosgw(): RadosgwInstallation | undefined {
  const found = PROGRAMS.map((name) => [name, findProgram(name)] as const);
  return found.every(([, path]) => path !== undefined) ? (Object.fromEntries(found) as RadosgwInstallation) : undefined;
}

/** Makes a cluster of its own and a user in it; resolves when the gateway answers. */
export async function startRadosgw(options: RadosgwOptions = {}): Promise<Radosgw> {
  const programs = findRadosgw();
  if (programs === undefined) throw new Error('radosgw is not installed: test/servers/install.sh radosgw');
  const folder = makeRunFolder('radosgw');
  const cluster = await startCluster(programs, folder.path, options);
  const credentials = {
    accessKeyId: randomBytes(10).toString('hex'),
    secretAccessKey: randomBytes(20).toString('hex'),
  };
  const endpoint = `http://127.0.0.1:${cluster.gatewayPort}`;
  const logFile = join(folder.path, 'radosgw.out');
  const launch = (): ServerProcess =>
    startServerProcess({
      command: programs.radosgw,
      args: ['-c', cluster.configuration, '-n', 'client.rgw', '-f'],
      logFile,
      cwd: folder.path,
    });
  let gateway = launch();
  const up = (): Promise<boolean> =>
    waitUntil(
      'radosgw answers',
      async () => {
        if (!gateway.running()) throw new Hopeless(`radosgw has ended:\n${gateway.log()}`);
        return (await fetch(endpoint)).ok;
      },
      { deadlineMs: 60_000 },
    );
  const close = async (): Promise<void> => {
    await Promise.all([gateway.kill(), cluster.close()]);
    folder.remove();
  };
  const clients = { endpoint, region: REGION, forcePathStyle: true, credentials };
  try {
    await up();
    await cluster.run('radosgw-admin', [
      ...['user', 'create', '--uid=adit', '--display-name=adit'],
      ...[`--access-key=${credentials.accessKeyId}`, `--secret=${credentials.secretAccessKey}`],
    ]);
  } catch (error) {
    await close();
    throw error;
  }
  let buckets = 0;
  return {
    endpoint,
    port: cluster.gatewayPort,
    region: REGION,
    ...credentials,
    environment: {
      S3_ENDPOINT: endpoint,
      AWS_REGION: REGION,
      AWS_ACCESS_KEY_ID: credentials.accessKeyId,
      AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
    },
    get pid() {
      return gateway.pid;
    },
    client: () => new S3Client(clients),
    async createBucket() {
      const Bucket = `adit-${process.pid}-${++buckets}`;
      const client = new S3Client(clients);
      await client.send(new CreateBucketCommand({ Bucket })).finally(() => client.destroy());
      return Bucket;
    },
    stop: () => gateway.stop(),
    kill: () => gateway.kill(),
    async restart() {
      await gateway.stop();
      gateway = launch();
      await up();
    },
    freeze: () => gateway.freeze(),
    thaw: () => gateway.thaw(),
    close,
    log: (characters) => gateway.log(characters),
  };
}

interface Cluster {
  configuration: string;
  gatewayPort: number;
  /** Runs one of Ceph's programs on this cluster; answers its output. */
  run(program: Program, args: string[]): Promise<string>;
  close(): Promise<void>;
}

/** A monitor and a storage daemon. No manager: nothing that the gateway does waits for one. */
async function startCluster(programs: RadosgwInstallation, folder: string, options: RadosgwOptions): Promise<Cluster> {
  const [monitorPort = 0, gatewayPort = 0] = await freePorts(2);
  const configuration = join(folder, 'ceph.conf');
  const fsid = randomUUID();
  const at = (name: string): string => join(folder, name);
  for (const name of ['mon', 'osd']) mkdirSync(at(name));
  writeFileSync(configuration, ceph({ folder, fsid, monitorPort, gatewayPort, options }));
  const run: Cluster['run'] = async (program, args) =>
    (await promisify(execFile)(programs[program], ['-c', configuration, ...args], { cwd: folder, timeout: 60_000 }))
      .stdout;
  const launch = (program: 'ceph-mon' | 'ceph-osd', id: string): ServerProcess =>
    startServerProcess({
      command: programs[program],
      args: ['-c', configuration, '-i', id, '-f'],
      logFile: at(`${program}.out`),
      cwd: folder,
    });
  const daemons: ServerProcess[] = [];
  const close = async (): Promise<void> => {
    await Promise.all(daemons.map((daemon) => daemon.kill()));
  };
  try {
    await makeKeys(run);
    const monitor = `[v2:127.0.0.1:${monitorPort}]`;
    await run('monmaptool', ['--create', '--addv', 'a', monitor, '--fsid', fsid, 'monmap']);
    await run('ceph-mon', ['-i', 'a', '--mkfs', '--monmap', 'monmap', '--keyring', 'keyring']);
    daemons.push(launch('ceph-mon', 'a'));
    const osd = randomUUID();
    await run('ceph', ['--connect-timeout', '30', 'osd', 'new', osd]);
    await run('ceph-osd', ['-i', '0', '--mkfs', '--osd-uuid', osd]);
    daemons.push(launch('ceph-osd', '0'));
  } catch (error) {
    await close();
    throw error;
  }
  return { configuration, gatewayPort, run, close };
}

/** The keys of all parties in one keyring: the monitor learns those that it starts with, and their rights. */
async function makeKeys(run: Cluster['run']): Promise<void> {
  const parties: [string, Record<string, string>][] = [
    ['mon.', { mon: 'allow *' }],
    ['client.admin', { mon: 'allow *', osd: 'allow *', mgr: 'allow *' }],
    ['osd.0', { mon: 'allow profile osd', osd: 'allow *' }],
    ['client.rgw', { mon: 'allow rw', osd: 'allow rwx' }],
  ];
  await run('ceph-authtool', ['--create-keyring', 'keyring']);
  for (const [name, rights] of parties) {
    const caps = Object.entries(rights).flatMap(([service, right]) => ['--cap', service, right]);
    await run('ceph-authtool', ['keyring', '--gen-key', '-n', name, ...caps]);
  }
}

function ceph({
  folder,
  fsid,
  monitorPort,
  gatewayPort,
  options: { lifecycleDaySeconds },
}: {
  folder: string;
  fsid: string;
  monitorPort: number;
  gatewayPort: number;
  options: RadosgwOptions;
}): string {
  const settings: Record<string, string | number | boolean> = {
    fsid,
    'mon host': `[v2:127.0.0.1:${monitorPort}]`,
    'public addr': '127.0.0.1',
    'cluster addr': '127.0.0.1',
    'run dir': folder,
    'log file': `${folder}/$name.log`,
    'admin socket': '',
    keyring: `${folder}/keyring`,
    'mon data': `${folder}/mon`,
    'osd data': `${folder}/osd`,
    'osd objectstore': 'memstore',
    'memstore device bytes': 4 * 1024 ** 3,
    // One copy of everything, on the only storage daemon.
    'osd pool default size': 1,
    'osd pool default min size': 1,
    'osd pool default pg num': 1,
    'osd pool default pgp num': 1,
    'osd pool default pg autoscale mode': 'off',
    'osd crush chooseleaf type': 0,
    'mon allow pool size one': true,
    'mon max pg per osd': 1000,
    // Monitors refuse to work on a disk that is nearly full; this one writes a few megabytes.
    'mon data avail crit': 0,
    'mon data avail warn': 1,
    // A monitor gathers changes for a second before it decides; a start is a dozen of them.
    'paxos propose interval': 0.05,
    // What was deleted would otherwise take its room in memory for two hours more.
    'rgw gc obj min wait': 1,
    'rgw gc processor period': 5,
    // Without it, small answers wait 40 ms for the acknowledgement of their headers.
    'rgw frontends': `beast endpoint=127.0.0.1:${gatewayPort} tcp_nodelay=1`,
  };
  if (lifecycleDaySeconds !== undefined) settings['rgw lc debug interval'] = lifecycleDaySeconds;
  return ['[global]', ...Object.entries(settings).map(([name, value]) => `${name} = ${value}`), ''].join('\n');
}
