import type { AnalysisMetric } from '../deployment.js';
import { durationMetric, failedMetric } from '../proxy/figures.js';

/** The share of requests that were answered with a 5xx status. */
export function errorShare(options: {
  /** Greatest share, 0 to 1. */
  readonly max?: number | undefined;
  /** Greatest share above that of stable. */
  readonly maxOverStable?: number | undefined;
  /** Default 60_000. */
  readonly windowMs?: number | undefined;
}): AnalysisMetric {
  const { max, maxOverStable, windowMs = 60_000 } = options;
  const whole = { metric: durationMetric, reduce: 'count', windowMs } as const;
  const query = { ratio: { part: { ...whole, match: { status_class: '5xx' } }, whole } };
  return { name: 'error-share', query, max, maxOverStable };
}

/** A percentile of the time until the answer was whole. */
export function latency(options: {
  /** Such as 99. */
  readonly percentile: number;
  /** Greatest value, milliseconds. */
  readonly maxMs?: number | undefined;
  /** Greatest multiple of stable's value. */
  readonly maxRatioToStable?: number | undefined;
  /** A difference up to this size is never a failure of `maxRatioToStable`, milliseconds. Default 0. */
  readonly toleranceMs?: number | undefined;
  /** Default 60_000. */
  readonly windowMs?: number | undefined;
}): AnalysisMetric {
  const { percentile, maxMs, maxRatioToStable, toleranceMs, windowMs = 60_000 } = options;
  return {
    name: `latency-p${percentile}`,
    query: { metric: durationMetric, reduce: { quantile: percentile / 100 }, windowMs },
    max: maxMs === undefined ? undefined : maxMs / 1_000,
    maxRatioToStable,
    tolerance: toleranceMs === undefined ? undefined : toleranceMs / 1_000,
  };
}

/** Requests that the proxy could not serve because of the canary: it refused, reset, timed out or answered nonsense. */
export function proxyFailures(options: {
  /** Default 0. */
  readonly max?: number | undefined;
  /** Default 60_000. */
  readonly windowMs?: number | undefined;
}): AnalysisMetric {
  const { max = 0, windowMs = 60_000 } = options;
  return { name: 'proxy-failures', query: { metric: failedMetric, reduce: 'increase', windowMs }, max, noData: 'pass' };
}
