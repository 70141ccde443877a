import { afterAll, beforeAll, describe } from '@jest/globals';
import { startEmbeddedStage, type Stage } from './stage.js';
import { pageOfDumps } from './suites/page.js';

describe('everything embedded', () => {
  let stage: Stage;
  beforeAll(async () => {
    stage = await startEmbeddedStage();
  });
  afterAll(() => stage.close());

  pageOfDumps(() => stage, 'embedded');
});
