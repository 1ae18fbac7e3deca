import type { SpanKindName } from '@mnops/core/spi';

/** What about an operation is unusual. */
export type AnomalySignal = 'duration' | 'errors' | 'throughput' | 'metric';

/** A time in which an operation is not as usual. */
export interface PerformanceAnomaly {
  /** Unique in the process. */
  readonly id: string;
  readonly service: string;
  readonly operation: string;
  readonly kind: SpanKindName | 'metric';
  readonly signal: AnomalySignal;
  /** What was compared: the median or the 90th percentile in milliseconds, the share of failed spans, spans per second, or a metric's value. */
  readonly statistic: 'p50' | 'p90' | 'error-share' | 'calls-per-second' | 'value';
  readonly detector: string;
  /** When it began: the start of the first unusual bucket, so before it was found. */
  readonly openedAt: Date;
  /** When it ended: the end of the last unusual bucket. Absent while it is open. */
  readonly closedAt?: Date | undefined;
  /** Value when it was found, in the unit of `statistic`. */
  readonly observed: number;
  readonly expected: { readonly low: number; readonly value: number; readonly high: number };
  /** 0.5 is just unusual, 1 is twice as far from the usual, or more. */
  readonly score: number;
  readonly severity: 'warning' | 'critical';
  /** Examples: the slowest or the failed traces of that time. */
  readonly traceIds: readonly string[];
}

/** Which anomalies a question is about; an absent field matches all. */
export interface AnomalyQuery {
  readonly service?: string | undefined;
  readonly operation?: string | undefined;
  readonly signal?: AnomalySignal | undefined;
  /** True: only those that are open now. */
  readonly open?: boolean | undefined;
  /** Only those that were open at this time or later. */
  readonly since?: Date | undefined;
}
