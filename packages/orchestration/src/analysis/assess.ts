import type { AnalysisMetric, Measurement } from '../deployment.js';

/** Where one metric stands. */
export type MetricPhase = 'running' | 'success' | 'failure' | 'inconclusive' | 'error';

/** Counts of one metric's measurements. */
export interface MetricTally {
  readonly successes: number;
  readonly failures: number;
  readonly inconclusive: number;
  readonly errors: number;
  readonly errorsInRow: number;
}

export const emptyTally: MetricTally = { successes: 0, failures: 0, inconclusive: 0, errors: 0, errorsInRow: 0 };

/** The tally with one more measurement. */
export function tallied(tally: MetricTally, verdict: Measurement['verdict']): MetricTally {
  switch (verdict) {
    case 'success':
      return { ...tally, successes: tally.successes + 1, errorsInRow: 0 };
    case 'failure':
      return { ...tally, failures: tally.failures + 1, errorsInRow: 0 };
    case 'inconclusive':
      return { ...tally, inconclusive: tally.inconclusive + 1, errorsInRow: 0 };
    case 'error':
      return { ...tally, errors: tally.errors + 1, errorsInRow: tally.errorsInRow + 1 };
  }
}

/**
 * The state of a metric. Limits as in Argo Rollouts: a metric fails when it failed more often than `failureLimit` (-1 turns
 * the limit off), the same for inconclusive measurements, and errs after more than `consecutiveErrorLimit` errors in a row;
 * errors do not count towards `count`, error beats inconclusive beats failure.
 */
export function assess(metric: AnalysisMetric, tally: MetricTally): MetricPhase {
  const { failureLimit = 0, inconclusiveLimit = 0, consecutiveErrorLimit = 4, count } = metric;
  if (tally.errorsInRow > consecutiveErrorLimit) return 'error';
  if (inconclusiveLimit >= 0 && tally.inconclusive > inconclusiveLimit) return 'inconclusive';
  if (failureLimit >= 0 && tally.failures > failureLimit) return 'failure';
  const measured = tally.successes + tally.failures + tally.inconclusive;
  return count !== undefined && measured >= count ? 'success' : 'running';
}
