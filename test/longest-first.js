/** The order of the suites: one that takes minutes must not be the last to start, with the other workers idle beside it. */
import { relative } from 'node:path';
import Sequencer from '@jest/test-sequencer';

/** Those of a minute and more, the longest first. What is not in the list comes after it, as Jest would have it: by what it took before. */
const LONGEST = [
  'acceptance/embedded',
  'acceptance/real',
  'servers/activemq-configuration',
  'api-server/query',
  'queues/check',
  'acceptance/start',
  'api-server/search',
  'api-server/fuzz',
  'packager/job-processes',
  'client/dump',
  'acceptance/page',
  'api-server/docset-lists',
  'readers/readers',
  'acceptance/page-real',
  'queues/rabbitmq',
  'contract/broker-rabbitmq',
  'api-server/search-engine',
  'integration/rogue-packagers',
  'api-server/dumps-at-once',
  'acceptance/clocks',
];

export default class LongestFirst extends Sequencer {
  sort(tests) {
    const rank = ({ path, context }) => {
      const suite = relative(context.config.rootDir, path).replace(/^test\/(.*)\.test\.ts$/, '$1');
      const place = LONGEST.indexOf(suite);
      return place === -1 ? LONGEST.length : place;
    };
    return super.sort(tests).sort((a, b) => rank(a) - rank(b));
  }
}
