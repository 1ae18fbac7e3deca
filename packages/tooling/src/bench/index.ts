import type { BenchSuite } from './types.js';

export type {
  BenchContext,
  BenchRow,
  BenchSuite,
  Comparison,
  ComparisonRow,
  Limit,
  LimitRow,
  Measure,
} from './types.js';

/**
 * Declares the bench suite of one file: `packages/<package>/bench/<suite>.bench.ts` exports it by default.
 *
 * Benches run on the built packages: import them by name, not by `../src`, so that the figures are those of what is
 * published.
 */
export function defineBench(suite: BenchSuite): BenchSuite {
  return suite;
}
