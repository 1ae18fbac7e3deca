import { countSchema, durationMsSchema, functionSchema } from '@mnops/core/config';
import * as v from 'valibot';
import { spanKinds } from '../span-kinds.js';
import type { SpanMatch } from './span-match.js';

/** A sampler of OpenTelemetry's form, as its SDKs take them. */
export interface SamplerLike {
  /**
   * Asked at every span. `decision`: 0 drop, 1 record without the sampled flag, 2 record and sample. An error counts
   * as 2.
   */
  shouldSample(
    context: unknown,
    traceId: string,
    spanName: string,
    spanKind: number,
    attributes: Readonly<Record<string, unknown>>,
    links: readonly unknown[],
  ): {
    readonly decision: number;
    readonly attributes?: Readonly<Record<string, unknown>> | undefined;
    readonly traceState?: unknown;
  };
}

/** Spans that match are decided by this rule's sampler. */
export interface SamplingRule extends SpanMatch {
  readonly sampler: HeadSampler;
}

/**
 * Decides where a trace begins in this process; the spans below follow. All but `parent-based` and `custom` decide anew
 * for a request whose caller has decided.
 *
 * - `ratio`: as OpenTelemetry's `TraceIdRatioBasedSampler` for JavaScript decides.
 * - `probability`: OpenTelemetry's consistent probability; services with different probabilities keep the same traces.
 * - `rate-limit`: a token bucket.
 * - `rules`: the first rule that matches.
 * - `back-end-rates`: the rates that a back end answers, by `service:NAME,env:ENVIRONMENT`; `otherwise` until it has.
 * - `parent-based`: as the caller decided; `root` where there is none.
 * - `custom`: a sampler of OpenTelemetry's form, asked at every span.
 */
export type HeadSampler =
  | { readonly kind: 'always-on' | 'always-off' }
  | { readonly kind: 'ratio'; readonly ratio: number }
  | { readonly kind: 'probability'; readonly probability: number }
  | { readonly kind: 'rate-limit'; readonly tracesPerSecond: number }
  | { readonly kind: 'rules'; readonly rules: readonly SamplingRule[]; readonly otherwise: HeadSampler }
  | { readonly kind: 'back-end-rates'; readonly otherwise: HeadSampler }
  | { readonly kind: 'parent-based'; readonly root: HeadSampler }
  | { readonly kind: 'custom'; readonly sampler: SamplerLike };

/** Traces that match are kept or dropped, whatever else is known of them. */
export interface TailRule extends SpanMatch {
  /** `drop`: traces whose local root matches. `keep`: traces with any span that matches. */
  readonly action: 'keep' | 'drop';
  /** Milliseconds that the matching span must have taken. */
  readonly minDurationMs?: number | undefined;
}

/**
 * Decides when the local root has ended, with everything known of the trace. In this order: rules that drop, rules that
 * keep, error, slow, rare, and for the rest the probability.
 */
export interface TailSamplingConfig {
  /**
   * `local` (default): outgoing requests say that nothing is sampled yet, so services that follow their caller record
   * nothing. `propagate`: they say sampled, so that all services record, and each decides like this one.
   */
  readonly mode?: 'local' | 'propagate' | undefined;
  /** Keep traces with a failed span. Default true. */
  readonly keepErrors?: boolean | undefined;
  /** Keep traces whose local root took longer than this quantile of its operation, or than a fixed time. Default `p99`. */
  readonly slowerThan?: 'p95' | 'p99' | { readonly durationMs: number } | undefined;
  /** Keep traces of operations that ran fewer times in the last hour. Default 10, at most 1_000; 0 is off. */
  readonly rareBelowPerHour?: number | undefined;
  readonly rules?: readonly TailRule[] | undefined;
  /** Most traces that `probability` keeps in a second. Default 100. */
  readonly maxTracesPerSecond?: number | undefined;
  /** Share of the other traces that is kept, consistently over services. Default 0.05; 0 keeps none. */
  readonly probability?: number | undefined;
  /** Estimated bytes of spans that wait for a decision; beyond, the oldest trace is decided as it stands. Default 32 MiB. */
  readonly maxBytes?: number | undefined;
  /** Spans of one trace that wait; further ones are dropped and counted. Default 10_000. */
  readonly maxSpansPerTrace?: number | undefined;
  /** Decisions remembered for spans that end after their local root. Default 65_536. */
  readonly decisionCacheSize?: number | undefined;
}

/** Which traces are recorded and kept. */
export interface SamplingConfig {
  /** Default: parent-based, always on. */
  readonly head?: HeadSampler | undefined;
  /** Default: none; all that is recorded is kept. */
  readonly tail?: TailSamplingConfig | undefined;
}

const shareSchema = v.pipe(v.number(), v.minValue(0), v.maxValue(1));
const rateSchema = v.pipe(v.number(), v.finite(), v.minValue(0));
const matchFields = {
  service: v.optional(v.string()),
  name: v.optional(v.string()),
  kind: v.optional(v.picklist(spanKinds)),
  attributes: v.optional(v.record(v.string(), v.union([v.string(), v.number(), v.boolean()]))),
};

const headSchema: v.GenericSchema<unknown> = v.variant('kind', [
  v.strictObject({ kind: v.picklist(['always-on', 'always-off']) }),
  v.strictObject({ kind: v.literal('ratio'), ratio: shareSchema }),
  v.strictObject({ kind: v.literal('probability'), probability: shareSchema }),
  v.strictObject({ kind: v.literal('rate-limit'), tracesPerSecond: rateSchema }),
  v.strictObject({
    kind: v.literal('rules'),
    rules: v.array(v.strictObject({ ...matchFields, sampler: v.lazy(() => headSchema) })),
    otherwise: v.lazy(() => headSchema),
  }),
  v.strictObject({ kind: v.literal('back-end-rates'), otherwise: v.lazy(() => headSchema) }),
  v.strictObject({ kind: v.literal('parent-based'), root: v.lazy(() => headSchema) }),
  v.strictObject({ kind: v.literal('custom'), sampler: v.looseObject({ shouldSample: functionSchema }) }),
]);

/** Schema of the option `sampling`. */
export const samplingSchema: v.GenericSchema<unknown> = v.strictObject({
  head: v.optional(headSchema),
  tail: v.optional(
    v.strictObject({
      mode: v.optional(v.picklist(['local', 'propagate'])),
      keepErrors: v.optional(v.boolean()),
      slowerThan: v.optional(v.union([v.picklist(['p95', 'p99']), v.strictObject({ durationMs: durationMsSchema })])),
      rareBelowPerHour: v.optional(v.pipe(v.number(), v.safeInteger(), v.minValue(0), v.maxValue(1_000))),
      rules: v.optional(
        v.array(
          v.strictObject({
            ...matchFields,
            action: v.picklist(['keep', 'drop']),
            minDurationMs: v.optional(durationMsSchema),
          }),
        ),
      ),
      maxTracesPerSecond: v.optional(rateSchema),
      probability: v.optional(shareSchema),
      maxBytes: v.optional(countSchema),
      maxSpansPerTrace: v.optional(countSchema),
      decisionCacheSize: v.optional(countSchema),
    }),
  ),
});

/** Tail sampling with every default filled in. */
export type ResolvedTail = {
  readonly [Key in keyof TailSamplingConfig]-?: Exclude<TailSamplingConfig[Key], undefined>;
};

/** Sampling with every default filled in. */
export interface ResolvedSampling {
  readonly head: HeadSampler;
  readonly tail: ResolvedTail | undefined;
}

/** Fills in the defaults. */
export function resolveSampling(input: SamplingConfig = {}): ResolvedSampling {
  const { head = { kind: 'parent-based', root: { kind: 'always-on' } }, tail } = input;
  if (tail === undefined) return { head, tail: undefined };
  return {
    head,
    tail: {
      mode: tail.mode ?? 'local',
      keepErrors: tail.keepErrors ?? true,
      slowerThan: tail.slowerThan ?? 'p99',
      rareBelowPerHour: tail.rareBelowPerHour ?? 10,
      rules: tail.rules ?? [],
      maxTracesPerSecond: tail.maxTracesPerSecond ?? 100,
      probability: tail.probability ?? 0.05,
      maxBytes: tail.maxBytes ?? 33_554_432,
      maxSpansPerTrace: tail.maxSpansPerTrace ?? 10_000,
      decisionCacheSize: tail.decisionCacheSize ?? 65_536,
    },
  };
}
