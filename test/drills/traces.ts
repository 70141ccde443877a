/** What processes leave on this machine: sockets, processes, files. */
import { readFileSync, readdirSync, readlinkSync } from 'node:fs';

/** Processes that have this among their environment variables. */
export function processesWith(name: string, value: string): number[] {
  const wanted = `${name}=${value}`;
  return pids().filter((pid) => {
    try {
      return readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').includes(wanted);
    } catch {
      return false;
    }
  });
}

/** Connections of a process to one of these ports of loopback. */
export function connectionsOf(pid: number, ports: readonly number[]): number {
  const own = socketsOf(pid);
  return connections().filter(({ remotePort, inode }) => ports.includes(remotePort) && own.has(inode)).length;
}

/** Connections that stand to one of these ports of loopback, whoever made them. */
export function connectionsTo(ports: readonly number[]): number {
  return connections().filter(({ remotePort }) => ports.includes(remotePort)).length;
}

/** Bytes of memory that a process holds. */
export function residentBytes(pid: number): number {
  const line = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Number(line ?? 0) * 1024;
}

/** Everything below a folder that is a file. */
export function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => `${entry.parentPath}/${entry.name}`);
}

const ESTABLISHED = '01';

/** As `/proc/net/tcp` has them: hexadecimal addresses, ports and states. */
function connections(): { remotePort: number; inode: string }[] {
  return ['/proc/net/tcp', '/proc/net/tcp6'].flatMap((table) =>
    readFileSync(table, 'utf8')
      .trim()
      .split('\n')
      .slice(1)
      .map((line) => line.trim().split(/\s+/))
      .filter((columns) => columns[3] === ESTABLISHED)
      .map((columns) => ({ remotePort: parseInt(columns[2]?.split(':')[1] ?? '', 16), inode: columns[9] ?? '' })),
  );
}

function socketsOf(pid: number): Set<string> {
  const inodes = new Set<string>();
  for (const descriptor of readdirSync(`/proc/${pid}/fd`)) {
    try {
      const inode = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${descriptor}`))?.[1];
      if (inode !== undefined) inodes.add(inode);
    } catch {
      // Closed in this moment.
    }
  }
  return inodes;
}

const pids = (): number[] =>
  readdirSync('/proc')
    .map(Number)
    .filter((pid) => pid > 0);
