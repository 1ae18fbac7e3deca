import type { CodeEntry } from '@mnops/core';

/** Error codes of this package. The page `docs/errors.md` is generated from this table. */
export const codes = {
  MNOPS_MONITORING_METRIC_INVALID: {
    retryable: false,
    meaning:
      'A metric was declared with a name, label, help text or bucket list that the exposition formats do not allow.',
    remedy: 'Correct the field that the message names.',
  },
  MNOPS_MONITORING_METRIC_CONFLICT: {
    retryable: false,
    meaning: 'A metric of this name exists with another type, other labels or other buckets.',
    remedy: 'Use another name, or the same declaration in both places.',
  },
  MNOPS_MONITORING_VALUE_INVALID: {
    retryable: false,
    meaning: 'A value or a label set does not fit the metric; thrown only with `onMisuse: "throw"`, otherwise counted.',
    remedy: 'Give a finite number (not negative for a counter) and only declared labels.',
  },
  MNOPS_MONITORING_QUERY_INVALID: {
    retryable: false,
    meaning: 'A query asks for a reduction that the type of the metric does not have.',
    remedy:
      'Counter: rate, increase. Gauge: last, mean, min, max, sum. Histogram: rate, increase, count, sum, mean, quantile.',
  },
} as const;
codes satisfies Readonly<Record<`MNOPS_MONITORING_${string}`, CodeEntry>>;
