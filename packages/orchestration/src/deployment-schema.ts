import { countSchema, durationMsSchema, textSchema } from '@mnops/core/config';
import * as v from 'valibot';
import type {
  AnalysisMetric,
  CanaryOptions,
  DeploymentConfig,
  ErrorShareOptions,
  LatencyOptions,
  ProxyFailuresOptions,
  RollingOptions,
} from './deployment.js';

const amountSchema = v.union([
  v.pipe(v.number(), v.integer(), v.minValue(0)),
  v.pipe(v.string(), v.regex(/^(?:100|\d{1,2})%$/, 'a percentage such as 25%')),
]);
const rollingFields = { maxSurge: v.optional(amountSchema), maxUnavailable: v.optional(amountSchema) };
const movingWords = 'a maxSurge or a maxUnavailable above 0';

/** Without room above or below the wanted number no instance could ever be replaced. */
function canMove({
  maxSurge = 1,
  maxUnavailable = 0,
}: {
  maxSurge?: number | string | undefined;
  maxUnavailable?: number | string | undefined;
}): boolean {
  return Number.parseFloat(String(maxSurge)) > 0 || Number.parseFloat(String(maxUnavailable)) > 0;
}

/** The options of `rolling()`. */
export const rollingSchema: v.GenericSchema<RollingOptions> = v.pipe(
  v.strictObject(rollingFields),
  v.check(canMove, movingWords),
) as v.GenericSchema<RollingOptions>;

const querySchema = v.custom<object>((value) => typeof value === 'object' && value !== null, 'a metric query');
const numberSchema = v.optional(v.pipe(v.number(), v.finite()));
const limitSchema = v.optional(v.pipe(v.number(), v.integer(), v.minValue(-1)));

const metricFields = v.strictObject({
  name: textSchema,
  source: v.optional(textSchema),
  query: querySchema,
  max: numberSchema,
  min: numberSchema,
  maxOverStable: numberSchema,
  maxRatioToStable: numberSchema,
  tolerance: numberSchema,
  minObservations: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1))),
  intervalMs: v.optional(v.pipe(v.number(), v.minValue(10))),
  initialDelayMs: v.optional(durationMsSchema),
  count: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1))),
  failureLimit: limitSchema,
  inconclusiveLimit: limitSchema,
  consecutiveErrorLimit: limitSchema,
  noData: v.optional(v.picklist(['inconclusive', 'fail', 'pass', 'error'])),
  dryRun: v.optional(v.boolean()),
});

export const metricSchema: v.GenericSchema<AnalysisMetric> = v.pipe(
  metricFields,
  v.check(
    ({ max, min, maxOverStable, maxRatioToStable, dryRun }) =>
      dryRun === true || [max, min, maxOverStable, maxRatioToStable].some((limit) => limit !== undefined),
    'a metric with one of max, min, maxOverStable and maxRatioToStable, or with dryRun',
  ),
) as unknown as v.GenericSchema<AnalysisMetric>;

const weightSchema = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(100));
const stepSchema = v.union([
  v.strictObject({ setWeight: weightSchema }),
  v.strictObject({ pause: v.strictObject({ durationMs: v.optional(durationMsSchema) }) }),
]);

const metricsSchema = v.pipe(
  v.array(metricSchema),
  v.minLength(1),
  v.check(haveDifferentNames, 'metrics with different names'),
  v.check(
    (metrics) => metrics.some(({ dryRun }) => dryRun !== true),
    "a metric that is no dry run, or analysis: 'none'",
  ),
);

const strategyShapes = v.variant('type', [
  v.strictObject({ type: v.literal('recreate') }),
  v.strictObject({ type: v.literal('rolling'), ...rollingFields }),
  v.strictObject({
    type: v.literal('canary'),
    steps: v.pipe(v.array(stepSchema), v.minLength(1)),
    analysis: v.optional(
      v.union([
        v.literal('none'),
        v.strictObject({ metrics: metricsSchema, waitForDataMs: v.optional(durationMsSchema) }),
      ]),
    ),
  }),
]);

const strategySchema = v.pipe(
  strategyShapes,
  v.check((strategy) => strategy.type !== 'rolling' || canMove(strategy), movingWords),
);

function haveDifferentNames(metrics: AnalysisMetric[]): boolean {
  return new Set(metrics.map(({ name }) => name)).size === metrics.length;
}

export const deploymentSchema: v.GenericSchema<DeploymentConfig> = v.strictObject({
  strategy: v.optional(strategySchema),
  readyTimeoutMs: v.optional(durationMsSchema),
  minReadyMs: v.optional(durationMsSchema),
  onFailure: v.optional(v.picklist(['rollback', 'keep'])),
  onBusy: v.optional(v.picklist(['supersede', 'refuse'])),
  together: v.optional(v.boolean()),
}) as v.GenericSchema<DeploymentConfig>;

const shareSchema = v.optional(v.pipe(v.number(), v.minValue(0), v.maxValue(1)));
const positiveMsSchema = v.pipe(v.number(), v.finite(), v.gtValue(0));
const aboveZeroSchema = v.optional(v.pipe(v.number(), v.finite(), v.gtValue(0)));

const canaryFields = v.strictObject({
  weights: v.pipe(
    v.array(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(100))),
    v.minLength(1),
    v.check(
      (weights) => weights.every((weight, index) => index === 0 || weight > weights[index - 1]!),
      'weights of which each is greater than the one before',
    ),
  ),
  everyMs: positiveMsSchema,
  analysis: v.optional(v.literal('none')),
  maxErrorShareOverStable: shareSchema,
  maxP99RatioToStable: aboveZeroSchema,
  p99ToleranceMs: v.optional(durationMsSchema),
  maxErrorShare: shareSchema,
  maxP99Ms: aboveZeroSchema,
  minRequests: v.optional(countSchema),
  waitForDataMs: v.optional(durationMsSchema),
  failureLimit: limitSchema,
  intervalMs: v.optional(v.pipe(v.number(), v.finite(), v.minValue(10))),
  metrics: v.optional(v.array(metricSchema)),
});

/** The options of `canary()`. */
export const canarySchema: v.GenericSchema<CanaryOptions> = v.pipe(
  canaryFields,
  v.check(
    ({ analysis, weights: _weights, everyMs: _everyMs, ...rest }) =>
      analysis === undefined || Object.values(rest).every((value) => value === undefined),
    "no limits and metrics beside analysis: 'none'",
  ),
) as unknown as v.GenericSchema<CanaryOptions>;

/** The options of `errorShare()`. */
export const errorShareSchema: v.GenericSchema<ErrorShareOptions> = v.strictObject({
  max: shareSchema,
  maxOverStable: shareSchema,
  windowMs: v.optional(positiveMsSchema),
}) as v.GenericSchema<ErrorShareOptions>;

/** The options of `latency()`. */
export const latencySchema: v.GenericSchema<LatencyOptions> = v.strictObject({
  percentile: v.pipe(v.number(), v.gtValue(0), v.maxValue(100)),
  maxMs: aboveZeroSchema,
  maxRatioToStable: aboveZeroSchema,
  toleranceMs: v.optional(durationMsSchema),
  windowMs: v.optional(positiveMsSchema),
}) as v.GenericSchema<LatencyOptions>;

/** The options of `proxyFailures()`. */
export const proxyFailuresSchema: v.GenericSchema<ProxyFailuresOptions> = v.strictObject({
  max: v.optional(v.pipe(v.number(), v.finite(), v.minValue(0))),
  windowMs: v.optional(positiveMsSchema),
}) as v.GenericSchema<ProxyFailuresOptions>;
