import { connect } from 'node:net';
import { describe, expect, it } from '@jest/globals';
import { WebSocket } from 'ws';
import { encodeFrame } from '../../../queue-config/embedded-broker/frame-encoder.js';
import { startEmbeddedBroker } from '../../../queue-config/embedded-broker/index.js';
import { startBroker, temporaryFolder } from './broker-fixture.js';
import { bodyOf, connectRaw, dial, until } from './raw-client.js';

describe('CONNECT', () => {
  it('is answered with version, server, session and heart-beat', async () => {
    const { url } = await startBroker();
    const client = await dial(url);
    client.send('STOMP', { 'accept-version': '1.0,1.1,1.2', host: 'x' });
    const { headers } = await client.take('CONNECTED');
    expect(headers.get('version')).toBe('1.2');
    expect(headers.get('server')).toMatch(/^adit\/1/);
    expect(headers.get('heart-beat')).toBe('1000,1000');
    expect(headers.get('session')).toMatch(/./);
  });

  it.each([['1.0,1.1'], [undefined]])('of a client that offers %s is refused with what would do', async (offered) => {
    const { url } = await startBroker();
    const client = await dial(url);
    client.send('CONNECT', offered === undefined ? {} : { 'accept-version': offered });
    const error = await client.take('ERROR');
    expect(error.headers.get('version')).toBe('1.2');
    expect(bodyOf(error)).toContain('Supported protocol version is 1.2');
    await until('the connection is closed', () => client.closed);
  });

  it('with a heart-beat that is none is refused', async () => {
    const { url } = await startBroker();
    const client = await dial(url);
    client.send('CONNECT', { 'accept-version': '1.2', 'heart-beat': 'often' });
    expect((await client.take('ERROR')).headers.get('message')).toMatch(/heart-beat "often"/);
  });

  it('has to be the first frame', async () => {
    const { url, queue } = await startBroker();
    const client = await dial(url);
    client.send('SEND', { destination: '/queue/a', receipt: 'r9' }, 'x');
    const error = await client.take('ERROR');
    expect([error.headers.get('message'), error.headers.get('receipt-id')]).toEqual(['SEND before CONNECT', 'r9']);
    await until('the connection is closed', () => client.closed);
    expect(queue('/queue/a')).toBeUndefined();
  });

  it('needs login and passcode of one account, where there are accounts', async () => {
    const accounts = [
      { login: 'api', passcode: 'a:b\\c' },
      { login: 'packager', passcode: 'geheim' },
    ];
    const { url, broker } = await startBroker({ accounts });
    for (const { login, passcode } of accounts) await connectRaw(url, { login, passcode });
    const wrong: Record<string, string>[] = [
      {},
      { login: 'api' },
      { login: 'api', passcode: 'geheim' },
      { login: 'nobody', passcode: '' },
      { login: 'API', passcode: 'a:b\\c' },
    ];
    for (const headers of wrong) {
      const client = await dial(url);
      client.send('CONNECT', { 'accept-version': '1.2', ...headers });
      expect((await client.take('ERROR')).headers.get('message')).toMatch(/login or passcode is wrong/);
      await until('the connection is closed', () => client.closed);
    }
    expect(broker.statistics().connections).toBe(accounts.length);
  });
});

describe('WebSocket', () => {
  const open = async (url: string, protocols: string[], headers: Record<string, string> = {}): Promise<WebSocket> => {
    const socket = new WebSocket(url, protocols, { headers });
    await new Promise<void>((resolve, reject) => socket.once('open', resolve).once('error', reject));
    return socket;
  };
  const next = (socket: WebSocket): Promise<{ text: string; isBinary: boolean }> =>
    new Promise((resolve) =>
      socket.once('message', (data: Buffer, isBinary) => resolve({ text: data.toString('latin1'), isBinary })),
    );

  it('carries frames as text and as binary, whole and in pieces, under v12.stomp', async () => {
    const { broker } = await startBroker({ webSocketPort: 0 });
    const socket = await open(broker.webSocketUrl ?? '', ['v11.stomp', 'v12.stomp']);
    expect(socket.protocol).toBe('v12.stomp');
    socket.send('CONNECT\naccept-version:1.2\nhost:x\n\n\0');
    expect((await next(socket)).text).toMatch(/^CONNECTED\n/);
    const frame = encodeFrame(
      'SEND',
      [
        ['destination', '/queue/a'],
        ['receipt', '1'],
      ],
      Buffer.from([0xff, 0]),
    );
    const receipt = next(socket);
    socket.send(frame.subarray(0, 10));
    socket.send(frame.subarray(10));
    expect(await receipt).toEqual({ text: 'RECEIPT\nreceipt-id:1\n\n\0', isBinary: false });
    const message = next(socket);
    socket.send('SUBSCRIBE\nid:1\ndestination:/queue/a\n\n\0');
    expect(await message).toEqual({ text: expect.stringContaining('\n\n\xff\0\0'), isBinary: true });
    socket.terminate();
  });

  it('refuses other subprotocols, pages of other sites where no login is asked, and plain HTTP', async () => {
    const { broker } = await startBroker({ webSocketPort: 0 });
    const url = broker.webSocketUrl ?? '';
    await expect(open(url, ['v11.stomp'])).rejects.toThrow('400');
    await expect(open(url, ['v12.stomp'], { origin: 'https://evil.example' })).rejects.toThrow('403');
    const own = await open(url, ['v12.stomp'], { origin: url.replace('ws:', 'http:') });
    own.terminate();
    expect((await fetch(url.replace('ws:', 'http:'))).status).toBe(426);
  });

  it('stops although somebody whom it refused keeps the connection', async () => {
    const { broker } = await startBroker({ webSocketPort: 0 });
    const { port, host } = new URL(broker.webSocketUrl ?? '');
    const peer = connect({ port: Number(port), host: '127.0.0.1', allowHalfOpen: true });
    const heard: string[] = [];
    peer.on('data', (chunk) => heard.push(chunk.toString())).on('error', () => undefined);
    const upgrade = ['connection: upgrade', 'upgrade: websocket', 'sec-websocket-version: 13'];
    const request = ['GET / HTTP/1.1', `host: ${host}`, ...upgrade, 'origin: https://evil.example'];
    peer.write(`${request.join('\r\n')}\r\n\r\n`);
    await until('it is refused', () => heard.join('').startsWith('HTTP/1.1 403 '));
    await broker.stop();
    peer.destroy();
  });

  it('lets pages of other sites in where a login is asked', async () => {
    const { broker } = await startBroker({ webSocketPort: 0, accounts: [{ login: 'a', passcode: 'b' }] });
    const socket = await open(broker.webSocketUrl ?? '', ['v12.stomp'], { origin: 'https://page.example' });
    socket.terminate();
  });
});

describe('starting and stopping', () => {
  it('refuses a port that is taken, and leaves the folder free', async () => {
    const { url } = await startBroker();
    const folder = await temporaryFolder();
    const port = Number(new URL(url).port);
    await expect(startEmbeddedBroker({ folder, port })).rejects.toThrow(/EADDRINUSE/);
    await startBroker({ folder });
  });

  it('ends every connection, and stopping twice is stopping', async () => {
    const { url, broker } = await startBroker({ webSocketPort: 0 });
    const client = await connectRaw(url);
    const silent = await dial(url);
    await Promise.all([broker.stop(), broker.stop()]);
    await until('both are closed', () => client.closed && silent.closed);
    await expect(dial(url)).rejects.toThrow(/ECONNREFUSED/);
  });
});
