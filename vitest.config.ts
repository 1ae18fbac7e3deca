import { defineConfig } from 'vitest/config';

/** All unit, contract and property tests in one run. */
export default defineConfig({
  test: {
    projects: ['packages/*/vitest.config.ts', 'examples/*/vitest.config.ts'],
    maxWorkers: 2,
  },
});
