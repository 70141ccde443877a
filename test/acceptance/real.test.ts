import { afterAll, beforeAll } from '@jest/globals';
import { describeOn } from '../servers/index.js';
import { startRealStage, type Stage } from './stage.js';
import { contents } from './suites/contents.js';
import { foreignPackager } from './suites/foreign-packager.js';
import { losses } from './suites/losses.js';
import { polling } from './suites/polling.js';
import { study } from './suites/study.js';

describeOn(['activemq', 'postgresql', 'radosgw'], 'on ActiveMQ, PostgreSQL and a real S3 server', () => {
  let stage: Stage;
  beforeAll(async () => {
    stage = await startRealStage();
  }, 120_000);
  afterAll(() => stage.close());

  for (const suite of [study, contents, polling, foreignPackager, losses]) suite(() => stage, 'real');
});
