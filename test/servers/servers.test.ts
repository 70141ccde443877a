import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { describe, expect, test } from '@jest/globals';
import { Client } from 'pg';
import {
  connectStomp,
  describeOn,
  startActiveMQ,
  startPostgreSQL,
  startRadosgw,
  startServerProcess,
  startTcpProxy,
  waitUntil,
} from './index.js';

const gone = (pid: number): boolean => !existsSync(`/proc/${pid}`);

describeOn('activemq', 'a real ActiveMQ', () => {
  test('starts, keeps a persistent message over kill -9, and leaves no process', async () => {
    const broker = await startActiveMQ();
    const pids = [broker.pid];
    try {
      expect(broker.version).toMatch(/^(5\.17|6)\./);
      const sender = await connectStomp(broker.url('api-server'));
      await sender.request('SEND', { destination: '/queue/docsets/package', persistent: 'true' }, 'http://s/docsets/5');
      await broker.kill();
      await broker.restart();
      pids.push(broker.pid);
      const taker = await connectStomp(broker.url('packager'));
      await taker.request('SUBSCRIBE', { id: '1', destination: '/queue/docsets/package', ack: 'client-individual' });
      expect((await taker.message()).body).toBe('http://s/docsets/5');
      await expect(broker.queue('docsets/package')).resolves.toMatchObject({ size: 1, consumers: 1 });
      taker.destroy();
    } finally {
      await broker.close();
    }
    expect(pids.every(gone)).toBe(true);
  });

  test('frozen, it answers nothing; thawed, it goes on', async () => {
    const broker = await startActiveMQ();
    try {
      const peer = await connectStomp(broker.url('packager'));
      broker.freeze();
      const answer = peer.request('SEND', { destination: '/queue/docsets/dead' });
      await expect(peer.take('an answer', () => true, 300)).rejects.toThrow('not within 300 ms');
      broker.thaw();
      await answer;
      peer.destroy();
    } finally {
      await broker.close();
    }
  });
});

describeOn('postgresql', 'a real PostgreSQL', () => {
  test('starts, keeps what was committed over kill -9, and leaves no process', async () => {
    const server = await startPostgreSQL();
    const pids = [server.pid];
    try {
      const url = await server.createDatabase();
      await run(url, 'CREATE TABLE t AS SELECT 42 AS answer');
      await server.kill();
      await server.restart();
      pids.push(server.pid);
      expect(await run(url, 'SELECT answer FROM t')).toEqual([{ answer: 42 }]);
      expect(await run(server.socketUrl(), 'SHOW fsync')).toEqual([{ fsync: 'on' }]);
    } finally {
      await server.close();
    }
    expect(pids.every(gone)).toBe(true);
  });

  async function run(connectionString: string, sql: string): Promise<unknown[]> {
    const client = new Client({ connectionString });
    await client.connect();
    try {
      return (await client.query<Record<string, unknown>>(sql)).rows;
    } finally {
      await client.end();
    }
  }
});

describeOn('radosgw', 'a real S3 server', () => {
  test('starts, keeps what was stored over kill -9 of the gateway, refuses a wrong secret, leaves no process', async () => {
    const server = await startRadosgw();
    const pids = [server.pid];
    const client = server.client();
    try {
      const Bucket = await server.createBucket();
      await client.send(new PutObjectCommand({ Bucket, Key: 'a', Body: Buffer.from('bytes') }));
      await server.kill();
      await server.restart();
      pids.push(server.pid);
      const stored = await client.send(new GetObjectCommand({ Bucket, Key: 'a' }));
      expect(await stored.Body?.transformToString()).toBe('bytes');
      await expect(
        client.send(new PutObjectCommand({ Bucket, Key: 'a', Body: Buffer.from('other'), IfNoneMatch: '*' })),
      ).rejects.toThrow(expect.objectContaining({ name: 'PreconditionFailed' }));
      expect((await fetch(`${server.endpoint}/${Bucket}/a`)).status).toBe(403);
    } finally {
      client.destroy();
      await server.close();
    }
    expect(pids.every(gone)).toBe(true);
  });
});

describe('a server process', () => {
  test('dies with the process that started it, even by SIGKILL', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'server-process-'));
    const pidFile = join(folder, 'pid');
    // The parent starts a sleeper just as the servers are started, and is killed.
    const script = join(folder, 'parent.mjs');
    writeFileSync(
      script,
      `import { spawn } from 'node:child_process'; import { writeFileSync } from 'node:fs';
       const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', 'sleep', '300'], { stdio: 'ignore' });
       writeFileSync(${JSON.stringify(pidFile)}, String(child.pid)); setInterval(() => {}, 1000);`,
    );
    const parent = spawn(process.execPath, [script], { stdio: 'ignore' });
    const pid = await waitUntil('the sleeper runs', () => {
      const text = existsSync(pidFile) && Number(readFileSync(pidFile, 'utf8'));
      return text !== false && text > 0 && readFileSync(`/proc/${text}/cmdline`, 'utf8').startsWith('sleep') && text;
    });
    parent.kill('SIGKILL');
    await waitUntil('the sleeper is gone', () => gone(pid));
    rmSync(folder, { recursive: true });
  });

  test('that does not start says what it printed', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'server-process-'));
    const server = startServerProcess({ command: 'ls', args: ['/nowhere'], logFile: join(folder, 'log') });
    await waitUntil('it has ended', () => !server.running());
    expect(server.log()).toContain('/nowhere');
    rmSync(folder, { recursive: true });
  });
});

describe('a TCP proxy', () => {
  test('counts what passes, stalls and cuts', async () => {
    const echo = createServer((socket) => socket.pipe(socket).on('error', () => socket.destroy()));
    await new Promise<void>((resolve) => echo.listen({ port: 0, host: '127.0.0.1' }, resolve));
    const proxy = await startTcpProxy((echo.address() as AddressInfo).port);
    const client = connect({ port: proxy.port, host: '127.0.0.1' });
    let received = '';
    client.on('data', (chunk) => (received += chunk.toString()));
    const closed = new Promise((resolve) => client.once('close', resolve));
    try {
      client.write('hello');
      await waitUntil('the echo is back', () => received === 'hello');
      expect([proxy.bytes(), proxy.connections(), proxy.open()]).toEqual([10, 1, 1]);
      proxy.stall();
      client.write('stalled');
      await expect(waitUntil('an echo', () => received !== 'hello', { deadlineMs: 200 })).rejects.toThrow('not within');
      proxy.resume();
      await waitUntil('the rest is back', () => received === 'hellostalled');
      proxy.cut();
      await closed;
      await waitUntil('no connection stands', () => proxy.open() === 0);
    } finally {
      client.destroy();
      await proxy.close();
      await new Promise((resolve) => echo.close(resolve));
    }
  });
});
