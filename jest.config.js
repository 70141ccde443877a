/** @type {import('jest').Config} */
export default {
  testEnvironment: 'node',
  testMatch: ['<rootDir>/test/**/*.test.ts'],
  extensionsToTreatAsEsm: ['.ts'],
  moduleNameMapper: { '^(\\.{1,2}/.*)\\.js$': '$1' },
  transform: { '^.+\\.ts$': ['ts-jest', { useESM: true, tsconfig: 'tsconfig.json', diagnostics: false }] },
  coverageProvider: 'v8',
  testSequencer: '<rootDir>/test/longest-first.js',
  testTimeout: 180_000,
  // One more than the two cores of the machine that everything has to pass on: most of what runs here waits.
  maxWorkers: 3,
};
