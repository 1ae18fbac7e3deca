import { systemClock } from '@mnops/core';
import {
  type ConfigIssue,
  clockSchema,
  configError,
  countSchema,
  durationMsSchema,
  functionSchema,
  notifiersSchema,
  parseOptions,
  providerSchema,
  secretsSchema,
  serviceIdentity,
  serviceSchema,
} from '@mnops/core/config';
import type { Clock, Notifier, SecretResolver, ServiceIdentity, TraceExporter } from '@mnops/core/spi';
import * as v from 'valibot';
import type { AnomalySignal } from './analysis/anomaly.js';
import { type DetectorKind, detectorKinds } from './analysis/detectors/detector.js';
import { type ForecastConfig, forecastDefaults, forecastSchema } from './analysis/forecast/forecast-config.js';
import {
  folderSchema,
  type ResolvedSpool,
  resolveSpool,
  type SpoolConfig,
  spoolSchema,
} from './delivery/delivery-config.js';
import { type DiskConfig, diskDefaults, diskSchema } from './disk/disk-config.js';
import { type PropagatorName, propagatorNames } from './propagation/propagator-names.js';
import {
  type ResolvedSampling,
  resolveSampling,
  type SamplingConfig,
  samplingSchema,
} from './sampling/sampling-config.js';

/** Packages whose operations become spans. */
const operatingPackages = ['core', 'secrets', 'monitoring', 'logging', 'orchestration', 'dr'] as const;
/** Name of a package whose operations become spans. */
export type OperatingPackage = (typeof operatingPackages)[number];

/** Bounds of what waits to be delivered, per exporter. */
export interface QueueConfig {
  /** Spans held while a back end is away; beyond, the oldest without an error go. Default 8_192. */
  readonly maxSpans?: number | undefined;
  /** Default 16 MiB. */
  readonly maxBytes?: number | undefined;
  /** Spans of one request. Default 512. */
  readonly batchSpans?: number | undefined;
  /** Milliseconds that a span waits for others. Default 1_000. */
  readonly delayMs?: number | undefined;
  /** Milliseconds for one request. Default 30_000. */
  readonly exportTimeoutMs?: number | undefined;
}

/** Bounds of the traces kept in memory. */
export interface StoreConfig extends DiskConfig {
  /** Default 10_000; beyond, the oldest trace goes. */
  readonly maxTraces?: number | undefined;
  /** Estimated bytes. Default 32 MiB. */
  readonly maxBytes?: number | undefined;
  /** Default 10_000; further spans of the trace are counted, not kept. */
  readonly maxSpansPerTrace?: number | undefined;
}

/** Limits of one span; what is over them is left out and counted in `dropped`. */
export interface SpanLimits {
  /** Default 128. */
  readonly attributes?: number | undefined;
  /** Default 128. */
  readonly events?: number | undefined;
  /** Default 128. */
  readonly links?: number | undefined;
  /** Attributes of one event. Default 128. */
  readonly eventAttributes?: number | undefined;
  /** Attributes of one link. Default 128. */
  readonly linkAttributes?: number | undefined;
  /** Characters of a text; longer ones are cut. Default 65_536. */
  readonly valueLength?: number | undefined;
}

/** When an operation counts as unusual. */
export interface AnomalyConfig {
  /** How a stretch of time is compared with what was learned; see `DetectorOptions` of `@mnops/apm/analysis`. Default `adaptive`. */
  readonly detector?: DetectorKind | undefined;
  /** Standard deviations for `sigma`. Default 2. */
  readonly sigma?: number | undefined;
  /** Default all four. */
  readonly signals?: readonly AnomalySignal[] | undefined;
  /** Score from 0 to 1 at which something is unusual. Default 0.5; higher is less sensitive. */
  readonly threshold?: number | undefined;
  /** Spans that must be seen of an operation before it is judged. Default 30. */
  readonly minSamples?: number | undefined;
  /** Milliseconds that trouble must last. Default 30_000. */
  readonly minDurationMs?: number | undefined;
  /** Milliseconds after its end in which the same anomaly does not open again. Default 600_000. */
  readonly cooldownMs?: number | undefined;
  /** Milliseconds after which an open anomaly becomes the new normal. Default 3_600_000. */
  readonly adoptAfterMs?: number | undefined;
  /** Smallest rise in latency that counts. Default 5. */
  readonly minIncreaseMs?: number | undefined;
  /** Smallest rise in latency that counts, as a multiple of the usual. Default 1.5. */
  readonly minIncreaseRatio?: number | undefined;
  /** Smallest rise in the share of failures that counts. Default 0.005. */
  readonly minErrorShareIncrease?: number | undefined;
}

/** How spans are turned into figures and judged. */
export interface AnalysisConfig {
  /** Length of the buckets in which operations are judged. Default 10_000; at least 100. */
  readonly bucketMs?: number | undefined;
  /** Milliseconds after its end until a bucket is judged, for spans that arrive late. Default 2_500. */
  readonly settleMs?: number | undefined;
  /** Operations kept apart; further ones count as `(other)`. Default 1_000. */
  readonly maxOperations?: number | undefined;
  /** Edges of the service map kept apart; further ones count as `(other)`. Default 4_096. */
  readonly maxDependencies?: number | undefined;
  /** Milliseconds for which `metricSource` answers. Default 900_000. */
  readonly retainMs?: number | undefined;
  /** Days after which an old span weighs half in a baseline. Default 7. */
  readonly halfLifeDays?: number | undefined;
  /** Spans that an hour of the week, or of the day, needs to have a baseline of its own. Default 30. */
  readonly minSamples?: number | undefined;
  /** Estimated bytes of the baselines; beyond, the hours of the least used operations are given up. Default 32 MiB. */
  readonly maxBytes?: number | undefined;
  /** What `forecast` goes by. */
  readonly forecast?: ForecastConfig | undefined;
  /** False: baselines and map only. */
  readonly anomalies?: AnomalyConfig | false | undefined;
}

/** Options of a `PerformanceMonitoringManager`. */
export interface APMConfig {
  /** Who this program is. Each unset field is read from its `MNOPS_SERVICE…` variable. */
  readonly service?: string | Partial<ServiceIdentity> | undefined;
  /** Where finished spans are delivered. Default none: they stay in the process. */
  readonly exporters?: readonly TraceExporter[] | undefined;
  /** Resolves `secret://` references in the exporters' options. */
  readonly secrets?: SecretResolver | undefined;
  /** Hear of anomalies. */
  readonly notifiers?: readonly Notifier[] | undefined;
  readonly queue?: QueueConfig | undefined;
  /** Folder for what outlives the process: undelivered spans, kept traces, baselines and map. Default none: everything is in memory. */
  readonly folder?: string | undefined;
  /** Bounds of the undelivered spans in `folder`; false: none are kept there. */
  readonly spool?: SpoolConfig | false | undefined;
  readonly store?: StoreConfig | undefined;
  /** Which traces are recorded and kept. Default: as the caller decided, else all. */
  readonly sampling?: SamplingConfig | undefined;
  readonly spanLimits?: SpanLimits | undefined;
  /** False: tracing and delivery only. */
  readonly analysis?: AnalysisConfig | false | undefined;
  /**
   * Header formats: all are written; of those that name a parent, the first in this order is read. Default
   * `['tracecontext', 'baggage']`; an empty list propagates nothing.
   */
  readonly propagators?: readonly PropagatorName[] | undefined;
  /**
   * Make spans of what other MNOps packages do in this process, such as `secrets read` or `dr backup`: of all (default),
   * of none, or of the packages that are named.
   */
  readonly traceOperations?: boolean | readonly OperatingPackage[] | undefined;
  /** Set OpenTelemetry's globals, so that instrumented libraries and the logger see our spans. Default true. */
  readonly registerGlobals?: boolean | undefined;
  /**
   * Deliver what is held when the process ends by itself or gets SIGTERM or SIGINT, for up to 5 s; with `folder`, write
   * traces and baselines to disk then, and undelivered spans also at `process.exit` and at an uncaught error. Default
   * false: the process has no handlers of ours.
   */
  readonly processHooks?: boolean | undefined;
  readonly clock?: Clock | undefined;
  /** Uniform in [0, 1), for the jitter of retries. Default `Math.random`. */
  readonly random?: (() => number) | undefined;
}

const shareSchema = v.pipe(v.number(), v.minValue(0), v.maxValue(1));
const positiveSchema = v.pipe(
  v.number(),
  v.finite(),
  v.check((value) => value > 0, 'a number above 0'),
);

const configSchema = v.strictObject({
  service: v.optional(serviceSchema),
  exporters: v.optional(v.array(providerSchema<TraceExporter>('trace-exporter', ['export']))),
  secrets: v.optional(secretsSchema),
  notifiers: v.optional(notifiersSchema),
  queue: v.optional(
    v.strictObject({
      maxSpans: v.optional(countSchema),
      maxBytes: v.optional(countSchema),
      batchSpans: v.optional(countSchema),
      delayMs: v.optional(durationMsSchema),
      exportTimeoutMs: v.optional(positiveSchema),
    }),
  ),
  folder: folderSchema,
  spool: spoolSchema,
  store: v.optional(
    v.strictObject({
      maxTraces: v.optional(countSchema),
      maxBytes: v.optional(countSchema),
      maxSpansPerTrace: v.optional(countSchema),
      ...diskSchema,
    }),
  ),
  sampling: v.optional(samplingSchema),
  spanLimits: v.optional(
    v.strictObject({
      attributes: v.optional(countSchema),
      events: v.optional(countSchema),
      links: v.optional(countSchema),
      eventAttributes: v.optional(countSchema),
      linkAttributes: v.optional(countSchema),
      valueLength: v.optional(countSchema),
    }),
  ),
  analysis: v.optional(
    v.union([
      v.literal(false),
      v.strictObject({
        bucketMs: v.optional(v.pipe(v.number(), v.finite(), v.minValue(100))),
        settleMs: v.optional(durationMsSchema),
        maxOperations: v.optional(countSchema),
        maxDependencies: v.optional(countSchema),
        retainMs: v.optional(positiveSchema),
        halfLifeDays: v.optional(positiveSchema),
        minSamples: v.optional(countSchema),
        maxBytes: v.optional(countSchema),
        forecast: v.optional(forecastSchema),
        anomalies: v.optional(
          v.union([
            v.literal(false),
            v.strictObject({
              detector: v.optional(v.picklist(detectorKinds)),
              sigma: v.optional(positiveSchema),
              signals: v.optional(v.array(v.picklist(['duration', 'errors', 'throughput', 'metric']))),
              threshold: v.optional(shareSchema),
              minSamples: v.optional(countSchema),
              minDurationMs: v.optional(durationMsSchema),
              cooldownMs: v.optional(durationMsSchema),
              adoptAfterMs: v.optional(positiveSchema),
              minIncreaseMs: v.optional(durationMsSchema),
              minIncreaseRatio: v.optional(v.pipe(v.number(), v.finite(), v.minValue(1))),
              minErrorShareIncrease: v.optional(shareSchema),
            }),
          ]),
        ),
      }),
    ]),
  ),
  propagators: v.optional(v.array(v.picklist(propagatorNames))),
  traceOperations: v.optional(v.union([v.boolean(), v.array(v.picklist(operatingPackages))])),
  registerGlobals: v.optional(v.boolean()),
  processHooks: v.optional(v.boolean()),
  clock: v.optional(clockSchema),
  random: v.optional(functionSchema),
});

/** The options with every default filled in. */
export interface ResolvedConfig {
  readonly service: ServiceIdentity;
  readonly exporters: readonly TraceExporter[];
  readonly secrets: SecretResolver | undefined;
  readonly notifiers: readonly Notifier[];
  readonly queue: Filled<QueueConfig>;
  readonly spool: ResolvedSpool | undefined;
  readonly folder: string | undefined;
  readonly store: Filled<StoreConfig>;
  readonly sampling: ResolvedSampling;
  readonly spanLimits: Filled<SpanLimits>;
  readonly analysis:
    | (Filled<Omit<AnalysisConfig, 'anomalies' | 'forecast'>> & {
        readonly forecast: Filled<ForecastConfig>;
        readonly anomalies: ResolvedAnomalies;
      })
    | undefined;
  readonly propagators: readonly PropagatorName[];
  readonly traceOperations: readonly OperatingPackage[];
  readonly registerGlobals: boolean;
  readonly processHooks: boolean;
  readonly clock: Clock;
  readonly random: () => number;
}

/** Settings of the anomaly detection; `undefined` when it is off. */
export type ResolvedAnomalies = Filled<AnomalyConfig> | undefined;

type Filled<T> = { readonly [Key in keyof T]-?: Exclude<T[Key], undefined> };

/** Checks the options and fills in the defaults. */
export function resolveConfig(input: APMConfig): ResolvedConfig {
  const name = 'PerformanceMonitoringManager';
  parseOptions(name, configSchema, input);
  const ids = (input.exporters ?? []).map((exporter) => exporter.id);
  const repeated = ids.find((id, index) => ids.indexOf(id) !== index);
  if (repeated !== undefined) {
    throw configError(name, [
      {
        field: 'exporters',
        expected: 'exporters with different ids',
        received: 'two with the same id',
        remedy: 'Give each exporter an `id` of its own.',
      },
    ]);
  }
  const unresolved = input.secrets === undefined ? unresolvedFields(input.exporters ?? []) : [];
  if (unresolved.length > 0) throw configError(name, unresolved);
  return {
    service: serviceIdentity(input.service),
    exporters: input.exporters ?? [],
    secrets: input.secrets,
    notifiers: input.notifiers ?? [],
    queue: filled(
      { maxSpans: 8_192, maxBytes: 16_777_216, batchSpans: 512, delayMs: 1_000, exportTimeoutMs: 30_000 },
      input.queue,
    ),
    folder: input.folder,
    spool: resolveSpool(name, input.folder, input.spool),
    store: filled({ maxTraces: 10_000, maxBytes: 33_554_432, maxSpansPerTrace: 10_000, ...diskDefaults }, input.store),
    sampling: resolveSampling(input.sampling),
    spanLimits: filled(
      { attributes: 128, events: 128, links: 128, eventAttributes: 128, linkAttributes: 128, valueLength: 65_536 },
      input.spanLimits,
    ),
    analysis: input.analysis === false ? undefined : resolveAnalysis(input.analysis ?? {}),
    propagators: [...new Set(input.propagators ?? (['tracecontext', 'baggage'] as const))],
    traceOperations: resolveOperations(input.traceOperations),
    registerGlobals: input.registerGlobals ?? true,
    processHooks: input.processHooks ?? false,
    clock: input.clock ?? systemClock(),
    random: input.random ?? Math.random,
  };
}

/** References that nothing would resolve: found now, not at the first delivery. */
function unresolvedFields(exporters: readonly TraceExporter[]): ConfigIssue[] {
  return exporters.flatMap(({ id, referenceFields = [] }, index) =>
    referenceFields.map((field) => ({
      field: `exporters.${index}.${field}`,
      expected: 'a resolver for the secret:// reference',
      received: 'none',
      remedy: `Pass \`secrets\` to the PerformanceMonitoringManager: \`${id}\` cannot send without it.`,
    })),
  );
}

function resolveOperations(given: APMConfig['traceOperations'] = true): readonly OperatingPackage[] {
  if (given === false) return [];
  return given === true ? operatingPackages : given;
}

function resolveAnalysis(input: AnalysisConfig): NonNullable<ResolvedConfig['analysis']> {
  const { anomalies, forecast, ...rest } = input;
  return {
    ...filled(
      {
        bucketMs: 10_000,
        settleMs: 2_500,
        maxOperations: 1_000,
        maxDependencies: 4_096,
        retainMs: 900_000,
        halfLifeDays: 7,
        minSamples: 30,
        maxBytes: 33_554_432,
      },
      rest,
    ),
    forecast: filled(forecastDefaults, forecast),
    anomalies:
      anomalies === false
        ? undefined
        : filled<AnomalyConfig>(
            {
              detector: 'adaptive',
              sigma: 2,
              signals: ['duration', 'errors', 'throughput', 'metric'],
              threshold: 0.5,
              minSamples: 30,
              minDurationMs: 30_000,
              cooldownMs: 600_000,
              adoptAfterMs: 3_600_000,
              minIncreaseMs: 5,
              minIncreaseRatio: 1.5,
              minErrorShareIncrease: 0.005,
            },
            anomalies ?? {},
          ),
  };
}

function filled<T extends object>(defaults: Filled<T>, given: T | undefined): Filled<T> {
  const set = Object.entries(given ?? {}).filter(([, value]) => value !== undefined);
  return Object.freeze({ ...defaults, ...Object.fromEntries(set) }) as Filled<T>;
}
