import { parseOptions } from '@mnops/core/config';
import type { AnalysisMetric, ErrorShareOptions, LatencyOptions, ProxyFailuresOptions } from '../deployment.js';
import { errorShareSchema, latencySchema, proxyFailuresSchema } from '../deployment-schema.js';
import { durationMetric, failedMetric } from '../proxy/figures.js';

/**
 * The share of requests that were answered with a 5xx status.
 *
 * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID`.
 */
export function errorShare(options: ErrorShareOptions): AnalysisMetric {
  const { max, maxOverStable, windowMs = 60_000 } = parseOptions('errorShare', errorShareSchema, options);
  const whole = { metric: durationMetric, reduce: 'count', windowMs } as const;
  const query = { ratio: { part: { ...whole, match: { status_class: '5xx' } }, whole } };
  return { name: 'error-share', query, max, maxOverStable };
}

/**
 * A percentile of the time until the answer was whole.
 *
 * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID`.
 */
export function latency(options: LatencyOptions): AnalysisMetric {
  const {
    percentile,
    maxMs,
    maxRatioToStable,
    toleranceMs,
    windowMs = 60_000,
  } = parseOptions('latency', latencySchema, options);
  return {
    name: `latency-p${percentile}`,
    query: { metric: durationMetric, reduce: { quantile: percentile / 100 }, windowMs },
    max: maxMs === undefined ? undefined : maxMs / 1_000,
    maxRatioToStable,
    tolerance: toleranceMs === undefined ? undefined : toleranceMs / 1_000,
  };
}

/**
 * Requests that the proxy could not serve because of the canary: it refused, reset, timed out or answered nonsense.
 *
 * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID`.
 */
export function proxyFailures(options: ProxyFailuresOptions): AnalysisMetric {
  const { max = 0, windowMs = 60_000 } = parseOptions('proxyFailures', proxyFailuresSchema, options);
  return { name: 'proxy-failures', query: { metric: failedMetric, reduce: 'increase', windowMs }, max, noData: 'pass' };
}
