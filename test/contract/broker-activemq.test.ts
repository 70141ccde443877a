import { describeOn, findActiveMQ, startActiveMQ, type ActiveMQFlavour } from '../servers/index.js';
import { describeBroker, type BrokerUnderTest } from './broker-suite.js';

async function start(flavour?: ActiveMQFlavour): Promise<BrokerUnderTest> {
  const activemq = await startActiveMQ(flavour === undefined ? {} : { flavour });
  const stomp = activemq.url('operator');
  const wrong = new URL(stomp);
  wrong.password = 'wrong';
  return {
    urls: [stomp, ...(activemq.wsPort === undefined ? [] : [activemq.wsUrl('operator')])],
    wrongPasscodeUrl: wrong.href,
    async killAndRestart() {
      await activemq.kill();
      await activemq.restart();
    },
    stop: () => activemq.close(),
  };
}

describeOn('activemq', 'on ActiveMQ', () => {
  const transports = findActiveMQ()?.webSocket === true ? ['stomp', 'ws'] : ['stomp'];
  describeBroker('ActiveMQ Classic', transports, () => start());
});
