import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describeBroker, type BrokerUnderTest } from './broker-suite.js';
import { buildBroker, removeBuild, startBrokerProcess } from './embedded-broker-process.js';

const LOGIN = 'adit';
const PASSCODE = 'p@ss:word/';

async function start(): Promise<BrokerUnderTest> {
  const folder = await mkdtemp(join(tmpdir(), 'adit-broker-'));
  const build = buildBroker();
  const accounts = [{ login: LOGIN, passcode: PASSCODE }];
  let broker = await startBrokerProcess(build, { folder, accounts, webSocketPort: 0 });
  const port = Number(new URL(broker.url).port);
  const webSocketPort = Number(new URL(broker.webSocketUrl ?? '').port);
  const withLogin = (url = '', passcode = PASSCODE): string =>
    url.replace('://', `://${LOGIN}:${encodeURIComponent(passcode)}@`);
  return {
    urls: [withLogin(broker.url), withLogin(broker.webSocketUrl)],
    wrongPasscodeUrl: withLogin(broker.url, 'wrong'),
    async killAndRestart() {
      await broker.kill();
      broker = await startBrokerProcess(build, { folder, accounts, port, webSocketPort });
    },
    async stop() {
      await broker.stop();
      removeBuild(build);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

describeBroker('the embedded broker', ['stomp', 'ws'], start);
