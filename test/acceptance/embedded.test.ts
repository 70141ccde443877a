import { afterAll, beforeAll, describe } from '@jest/globals';
import { startEmbeddedStage, type Stage } from './stage.js';
import { contents } from './suites/contents.js';
import { foreignPackager } from './suites/foreign-packager.js';
import { losses } from './suites/losses.js';
import { polling } from './suites/polling.js';
import { study } from './suites/study.js';

describe('everything embedded', () => {
  let stage: Stage;
  beforeAll(async () => {
    stage = await startEmbeddedStage();
  });
  afterAll(() => stage.close());

  for (const suite of [study, contents, polling, foreignPackager, losses]) suite(() => stage, 'embedded');
});
