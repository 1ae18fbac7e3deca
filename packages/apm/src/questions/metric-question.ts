import {
  durationMsSchema,
  labelMatchSchema,
  metricReductionSchema,
  providerSchema,
  textSchema,
} from '@mnops/core/config';
import type { MetricSelection, MetricSource } from '@mnops/core/spi';
import * as v from 'valibot';
import type { MetricRole } from '../analysis/root-cause/inputs.js';

/** A selection whose window and groups are filled in when it is asked. */
export type OpenSelection = Pick<MetricSelection, 'metric' | 'reduce' | 'match'>;

/** What to ask a metric source again and again over time: a selection, the ratio of two, or PromQL where it speaks it. */
export type OpenQuery =
  | OpenSelection
  | { readonly ratio: { readonly part: OpenSelection; readonly whole: OpenSelection } }
  | { readonly promql: string };

/** One metric that `findRootCause` asks a source about. */
export interface MetricQuestion {
  /** Name in the evidence, and for `metric` of the query. */
  readonly name: string;
  readonly role: MetricRole;
  /** What is asked at each step, for all services at once: `by` is the label of the service, PromQL must keep it. */
  readonly query: OpenQuery;
  /** Label that names the service; answers without it are left out. Default `service`. */
  readonly serviceLabel?: string | undefined;
  /** Label that names a replica. Default: the replicas of a service are one series. */
  readonly instanceLabel?: string | undefined;
  /** How far a value looks back. Default: the time between two. Give more where a source samples rarely. */
  readonly windowMs?: number | undefined;
}

const requestSeconds = 'http_server_request_duration_seconds';

/** What is asked without `metricQuestions`: the request figures of the house, and the processor time and memory of processes. */
export const metricQuestions: readonly MetricQuestion[] = [
  {
    name: 'request P90 (seconds)',
    role: 'latency',
    query: { metric: requestSeconds, reduce: { quantile: 0.9 } },
  },
  {
    name: 'failed requests (share)',
    role: 'failures',
    query: {
      ratio: {
        part: { metric: requestSeconds, reduce: 'increase', match: { status_class: '5xx' } },
        whole: { metric: requestSeconds, reduce: 'increase' },
      },
    },
  },
  { name: 'requests per second', role: 'traffic', query: { metric: requestSeconds, reduce: 'rate' } },
  {
    name: 'processor time (cores)',
    role: 'usage',
    query: { metric: 'process_cpu_seconds_total', reduce: 'rate' },
  },
  {
    name: 'resident memory (bytes)',
    role: 'usage',
    query: { metric: 'process_resident_memory_bytes', reduce: 'mean' },
  },
];

const selectionSchema = v.strictObject({
  metric: textSchema,
  reduce: metricReductionSchema,
  match: v.optional(v.record(v.string(), labelMatchSchema)),
});
const ratioSchema = v.strictObject({ ratio: v.strictObject({ part: selectionSchema, whole: selectionSchema }) });
const promqlSchema = v.strictObject({ promql: textSchema });

/** Checks an `OpenQuery`, by the form that it has: told of all three, nobody would know which is meant. */
export const openQuerySchema: v.GenericSchema<OpenQuery> = v.lazy((query): v.GenericSchema<OpenQuery> => {
  const { promql, ratio } = (query ?? {}) as { readonly promql?: unknown; readonly ratio?: unknown };
  if (promql !== undefined) return promqlSchema;
  return ratio === undefined ? selectionSchema : ratioSchema;
});

/** Milliseconds of a step, a window or a season, at least one. */
export const lengthMsSchema: v.GenericSchema<number> = v.pipe(durationMsSchema, v.minValue(1));

/** Checks a `MetricQuestion`. */
export const metricQuestionSchema: v.GenericSchema<MetricQuestion> = v.strictObject({
  name: textSchema,
  role: v.picklist(['latency', 'success', 'failures', 'usage', 'traffic']),
  query: openQuerySchema,
  serviceLabel: v.optional(textSchema),
  instanceLabel: v.optional(textSchema),
  windowMs: v.optional(lengthMsSchema),
});

/** Checks a metric source. */
export const metricSourceSchema: v.GenericSchema<MetricSource> = providerSchema<MetricSource>('metric-source', [
  'query',
]);
