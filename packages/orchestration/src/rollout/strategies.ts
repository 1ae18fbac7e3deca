import { errorShare, latency, proxyFailures } from '../analysis/query-makers.js';
import type { AnalysisMetric, DeploymentStrategy, RolloutStep } from '../deployment.js';

/** What a canary is made from. */
export interface CanaryOptions {
  /** Shares of the requests in percent, one after the other, such as `[5, 25, 50]`. */
  readonly weights: readonly number[];
  /** How long each share lasts, milliseconds. */
  readonly everyMs: number;
  /** The canary's share of 5xx answers may exceed that of stable by so much, such as 0.01. */
  readonly maxErrorShareOverStable?: number | undefined;
  /** The canary's 99th percentile may be so many times that of stable, such as 1.5. */
  readonly maxP99RatioToStable?: number | undefined;
  /** A difference in the 99th percentile up to this size is never a failure, milliseconds. Default 10. */
  readonly p99ToleranceMs?: number | undefined;
  /** Greatest share of 5xx answers, whatever stable does. */
  readonly maxErrorShare?: number | undefined;
  /** Greatest 99th percentile, milliseconds, whatever stable does. */
  readonly maxP99Ms?: number | undefined;
  /** Fewer requests in the window are no data. Default 20. */
  readonly minRequests?: number | undefined;
  /** Failed measurements per metric that are borne. Default 0. */
  readonly failureLimit?: number | undefined;
  /** Distance between measurements, milliseconds. Default: a quarter of `everyMs`, at least 250. */
  readonly intervalMs?: number | undefined;
  /** Further metrics. */
  readonly metrics?: readonly AnalysisMetric[] | undefined;
}

/**
 * A canary: each share of the requests for some time, judged against the stable revision by the figures of the proxy; then
 * all of them. It goes back at the first verdict against it, and waits for a person when there is too little to judge by.
 */
export function canary(options: CanaryOptions): DeploymentStrategy {
  const { weights, everyMs, minRequests = 20, failureLimit = 0, p99ToleranceMs = 10 } = options;
  const windowMs = Math.max(1_000, everyMs);
  const timing = {
    intervalMs: options.intervalMs ?? Math.max(250, everyMs / 4),
    minObservations: minRequests,
    failureLimit,
    // Early on there are few requests; the end of each step asks for a verdict anyway.
    inconclusiveLimit: -1,
  };
  const metrics: AnalysisMetric[] = [];
  const { maxErrorShareOverStable, maxP99RatioToStable, maxErrorShare, maxP99Ms } = options;
  if (maxErrorShareOverStable !== undefined || maxErrorShare !== undefined) {
    const limits = { max: maxErrorShare, maxOverStable: maxErrorShareOverStable };
    metrics.push({ ...errorShare({ ...limits, windowMs }), ...timing });
  }
  if (maxP99RatioToStable !== undefined || maxP99Ms !== undefined) {
    const limits = { maxMs: maxP99Ms, maxRatioToStable: maxP99RatioToStable, toleranceMs: p99ToleranceMs };
    metrics.push({ ...latency({ percentile: 99, ...limits, windowMs }), ...timing });
  }
  if (metrics.length > 0) metrics.push({ ...proxyFailures({ windowMs }), intervalMs: timing.intervalMs });
  metrics.push(...(options.metrics ?? []));
  const steps = weights.flatMap((setWeight): RolloutStep[] => [{ setWeight }, { pause: { durationMs: everyMs } }]);
  return metrics.length === 0 ? { type: 'canary', steps } : { type: 'canary', steps, analysis: { metrics } };
}

/** Instance by instance: a new one becomes ready before an old one goes, unless `maxUnavailable` allows otherwise. */
export function rolling(
  options: {
    readonly maxSurge?: number | string | undefined;
    readonly maxUnavailable?: number | string | undefined;
  } = {},
): DeploymentStrategy {
  return { type: 'rolling', ...options };
}

/** All old instances end before the first new one starts, for programs of which no two may run; requests wait meanwhile. */
export function recreate(): DeploymentStrategy {
  return { type: 'recreate' };
}

/** A number of instances from a number or a percentage of `replicas`. */
export function instancesOf(value: number | string, replicas: number, round: 'up' | 'down'): number {
  if (typeof value === 'number') return value;
  const exact = (Number.parseFloat(value) / 100) * replicas;
  return round === 'up' ? Math.ceil(exact) : Math.floor(exact);
}
