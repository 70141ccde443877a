import { afterAll, beforeAll } from '@jest/globals';
import { describeOn } from '../servers/index.js';
import { startRealStage, type Stage } from './stage.js';
import { pageOfDumps } from './suites/page.js';

describeOn(['activemq', 'postgresql', 'radosgw'], 'on ActiveMQ, PostgreSQL and a real S3 server', () => {
  let stage: Stage;
  beforeAll(async () => {
    stage = await startRealStage();
  }, 120_000);
  afterAll(() => stage.close());

  pageOfDumps(() => stage, 'real');
});
