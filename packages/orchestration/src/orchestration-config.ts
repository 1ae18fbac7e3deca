import { type AuditOptions, auditSchema } from '@mnops/core/audit';
import { clockSchema, durationMsSchema, metricSourcesSchema, secretsSchema, textSchema } from '@mnops/core/config';
import type { Clock, MetricSource, OrchestrationProvider, SecretResolver } from '@mnops/core/spi';
import * as v from 'valibot';
import type { DeploymentConfig } from './deployment.js';

/** What a `ContainerOrchestrationManager` is made with. */
export interface OrchestrationConfig {
  /** Where services run. Default: `local()`, processes of this machine. */
  readonly provider?: OrchestrationProvider | undefined;
  /** Name of the set of services. Default `default`. */
  readonly app?: string | undefined;
  /** Resolves `secret://` references in environments. */
  readonly secrets?: SecretResolver | undefined;
  /** Further metric sources for analyses, by name. `proxy` is built in. */
  readonly metricSources?: Readonly<Record<string, MetricSource>> | undefined;
  /** Where it is recorded who changed what; `false` for nowhere. Default: the last 1,000 records, in memory. */
  readonly audit?: AuditOptions | false | undefined;
  /** Who changes things, in audit records. Default `application`. */
  readonly actor?: string | undefined;
  /** Stop in order when the process gets a signal to end. Default false. */
  readonly processHooks?: boolean | undefined;
  readonly clock?: Clock | undefined;
}

/** An orchestration provider opens with a context of its own, so it is known by its fields. */
const orchestrationProviderSchema = v.custom<OrchestrationProvider>((value) => {
  if (typeof value !== 'object' || value === null) return false;
  const { specVersion, kind, open, observe } = value as Partial<OrchestrationProvider>;
  return (
    specVersion === 1 &&
    kind === 'orchestration-provider' &&
    typeof open === 'function' &&
    typeof observe === 'function'
  );
}, 'a provider of kind orchestration-provider');

export const configSchema: v.GenericSchema<OrchestrationConfig> = v.strictObject({
  provider: v.optional(orchestrationProviderSchema),
  app: v.optional(textSchema),
  secrets: v.optional(secretsSchema),
  metricSources: v.optional(metricSourcesSchema),
  audit: v.optional(auditSchema),
  actor: v.optional(textSchema),
  processHooks: v.optional(v.boolean()),
  clock: v.optional(clockSchema),
}) as v.GenericSchema<OrchestrationConfig>;

const amountSchema = v.union([
  v.pipe(v.number(), v.integer(), v.minValue(0)),
  v.pipe(v.string(), v.regex(/^(?:100|\d{1,2})%$/, 'a percentage such as 25%')),
]);
const querySchema = v.custom<object>((value) => typeof value === 'object' && value !== null, 'a metric query');
const numberSchema = v.optional(v.pipe(v.number(), v.finite()));
const limitSchema = v.optional(v.pipe(v.number(), v.integer(), v.minValue(-1)));

const metricSchema = v.strictObject({
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

const weightSchema = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(100));
const stepSchema = v.union([
  v.strictObject({ setWeight: weightSchema }),
  v.strictObject({ pause: v.strictObject({ durationMs: v.optional(durationMsSchema) }) }),
]);

const strategySchema = v.variant('type', [
  v.strictObject({ type: v.literal('recreate') }),
  v.strictObject({
    type: v.literal('rolling'),
    maxSurge: v.optional(amountSchema),
    maxUnavailable: v.optional(amountSchema),
  }),
  v.strictObject({
    type: v.literal('canary'),
    steps: v.pipe(v.array(stepSchema), v.minLength(1)),
    analysis: v.optional(
      v.strictObject({
        metrics: v.pipe(
          v.array(metricSchema),
          v.minLength(1),
          v.check(
            (metrics) => new Set(metrics.map(({ name }) => name)).size === metrics.length,
            'metrics with different names',
          ),
        ),
      }),
    ),
  }),
]);

export const deploymentSchema: v.GenericSchema<DeploymentConfig> = v.strictObject({
  strategy: v.optional(strategySchema),
  readyTimeoutMs: v.optional(durationMsSchema),
  minReadyMs: v.optional(durationMsSchema),
  onFailure: v.optional(v.picklist(['rollback', 'keep'])),
  onBusy: v.optional(v.picklist(['supersede', 'refuse'])),
  together: v.optional(v.boolean()),
}) as v.GenericSchema<DeploymentConfig>;
