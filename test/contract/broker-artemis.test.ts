import { describeBroker } from './broker-suite.js';
import { BROKERS } from './brokers.js';

describeBroker(BROKERS.artemis);
