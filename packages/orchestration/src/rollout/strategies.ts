import { parseOptions } from '@mnops/core/config';
import * as v from 'valibot';
import { errorShare, latency, proxyFailures } from '../analysis/query-makers.js';
import type {
  AnalysisMetric,
  CanaryOptions,
  DeploymentConfig,
  DeploymentStrategy,
  RollingOptions,
  RolloutAnalysis,
  RolloutStep,
} from '../deployment.js';
import { canarySchema, rollingSchema } from '../deployment-schema.js';

/** What a canary is judged by that names nothing to judge it by. */
const defaultLimits = { maxErrorShareOverStable: 0.01, maxP99RatioToStable: 2, p99ToleranceMs: 100 } as const;

/**
 * A canary: each share of the requests for some time, judged against the stable revision by the figures of the proxy; then
 * all of them. It goes back at the first verdict against it, and waits for a person when there is too little to judge by.
 *
 * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID`, also for limits beside `analysis: 'none'`.
 */
export function canary(options: CanaryOptions): DeploymentStrategy {
  const parsed = parseOptions('canary', canarySchema, options);
  const { weights, everyMs } = parsed;
  const steps = weights.flatMap((setWeight): RolloutStep[] => [{ setWeight }, { pause: { durationMs: everyMs } }]);
  return { type: 'canary', steps, analysis: parsed.analysis ?? analysisOf(parsed) };
}

function analysisOf(options: CanaryOptions): RolloutAnalysis {
  const { everyMs, minRequests = 20, failureLimit = 0, metrics: own = [] } = options;
  const { maxErrorShareOverStable, maxP99RatioToStable, maxErrorShare, maxP99Ms, p99ToleranceMs } = limitsOf(options);
  const windowMs = Math.max(1_000, everyMs);
  const timing = {
    intervalMs: options.intervalMs ?? Math.max(250, everyMs / 4),
    minObservations: minRequests,
    failureLimit,
    // Early on there are few requests; the end of each step asks for a verdict anyway.
    inconclusiveLimit: -1,
  };
  const metrics: AnalysisMetric[] = [];
  if (maxErrorShareOverStable !== undefined || maxErrorShare !== undefined) {
    const limits = { max: maxErrorShare, maxOverStable: maxErrorShareOverStable };
    metrics.push({ ...errorShare({ ...limits, windowMs }), ...timing });
  }
  if (maxP99RatioToStable !== undefined || maxP99Ms !== undefined) {
    const limits = { maxMs: maxP99Ms, maxRatioToStable: maxP99RatioToStable, toleranceMs: p99ToleranceMs ?? 10 };
    metrics.push({ ...latency({ percentile: 99, ...limits, windowMs }), ...timing });
  }
  metrics.push({ ...proxyFailures({ windowMs }), intervalMs: timing.intervalMs });
  return { metrics: [...metrics, ...own], waitForDataMs: options.waitForDataMs ?? Math.max(30_000, everyMs) };
}

/** The limits that were given, or the defaults when nothing was given that a release could fail. */
function limitsOf(options: CanaryOptions): Partial<CanaryOptions> {
  const { maxErrorShareOverStable, maxP99RatioToStable, maxErrorShare, maxP99Ms, metrics = [] } = options;
  const given = [maxErrorShareOverStable, maxP99RatioToStable, maxErrorShare, maxP99Ms];
  const judged = given.some((limit) => limit !== undefined) || metrics.some(({ dryRun }) => dryRun !== true);
  return judged
    ? options
    : { ...defaultLimits, p99ToleranceMs: options.p99ToleranceMs ?? defaultLimits.p99ToleranceMs };
}

/** The deployment with what judges its canary spelled out: no canary goes unjudged because nothing was said of it. */
export function withAnalysis(deployment: DeploymentConfig): DeploymentConfig {
  const { strategy } = deployment;
  if (strategy?.type !== 'canary' || strategy.analysis !== undefined) return deployment;
  const pauses = strategy.steps.flatMap((step) => ('pause' in step ? [step.pause.durationMs ?? 0] : []));
  const everyMs = Math.min(...pauses.filter((durationMs) => durationMs > 0), 60_000);
  return { ...deployment, strategy: { ...strategy, analysis: analysisOf({ weights: [], everyMs }) } };
}

/**
 * Instance by instance: a new one becomes ready before an old one goes, unless `maxUnavailable` allows otherwise.
 *
 * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID`, also when both are 0 and nothing could be replaced.
 */
export function rolling(options: RollingOptions = {}): DeploymentStrategy {
  return { type: 'rolling', ...parseOptions('rolling', rollingSchema, options) };
}

/**
 * All old instances end before the first new one starts, for programs of which no two may run; requests wait meanwhile. It
 * has no options.
 *
 * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID` for any.
 */
export function recreate(options: Readonly<Record<string, never>> = {}): DeploymentStrategy {
  parseOptions('recreate', v.strictObject({}), options);
  return { type: 'recreate' };
}

/** A number of instances from a number or a percentage of `replicas`. */
export function instancesOf(value: number | string, replicas: number, round: 'up' | 'down'): number {
  if (typeof value === 'number') return value;
  const exact = (Number.parseFloat(value) / 100) * replicas;
  return round === 'up' ? Math.ceil(exact) : Math.floor(exact);
}
