import type { Call, Spi } from './base.js';

/** How the samples in a window become one number. Counter: `rate`, `increase`. Gauge: `last`, `mean`, `min`, `max`, `sum`. Histogram: `increase`, `rate`, `count` (observations), `sum`, `mean` (observed values), `quantile`. */
export type MetricReduction =
  | 'rate'
  | 'increase'
  | 'count'
  | 'sum'
  | 'mean'
  | 'last'
  | 'max'
  | 'min'
  | { readonly quantile: number };

/** Condition on one label: equal to a text, different from it, or one of several. An absent label is the empty text. */
export type LabelMatch = string | { readonly not: string } | { readonly oneOf: readonly string[] };

/** Samples of one metric over a window, reduced to one number per group. */
export interface MetricSelection {
  /** Name of the metric; a histogram by its base name, without `_bucket`. */
  readonly metric: string;
  readonly reduce: MetricReduction;
  /** Length of the window that ends at the query's instant. */
  readonly windowMs: number;
  readonly match?: Readonly<Record<string, LabelMatch>> | undefined;
  /** Labels that make the groups. Absent: one merged series. */
  readonly by?: readonly string[] | undefined;
}

/** A question to a metric source: PromQL text where the source speaks it, a selection, or the ratio of two selections. */
export type MetricQuery =
  | { readonly promql: string }
  | MetricSelection
  | { readonly ratio: { readonly part: MetricSelection; readonly whole: MetricSelection } };

/** One answer: a value for a group of labels. */
export interface MetricSample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
  /** Instant the value stands for, epoch milliseconds. */
  readonly atMs: number;
}

/**
 * Answers questions about metrics.
 *
 * Counter resets are handled, groups add up; quantiles come after merging the buckets of a group. No data is an empty
 * answer, never 0. In a ratio, a group with a whole and no part is 0, and one without a whole is absent.
 */
export interface MetricSource extends Spi<'metric-source'> {
  readonly capabilities: { readonly promql: boolean; readonly structured: boolean };
  query(query: MetricQuery, call: Call & { readonly atMs?: number | undefined }): Promise<readonly MetricSample[]>;
}
