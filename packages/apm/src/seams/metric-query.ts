import { labelMatchSchema, metricReductionSchema, parseOptions, signalSchema } from '@mnops/core/config';
import type { MetricSelection } from '@mnops/core/spi';
import * as v from 'valibot';

/** Name of the one metric that traces give: a histogram of request durations in seconds. */
export const requestMetric = 'http_server_request_duration_seconds';

/** Labels of the request histogram, in this order. */
export const requestLabels = [
  'service',
  'version',
  'revision',
  'service_instance',
  'method',
  'route',
  'status_class',
] as const;

const common = {
  reduce: metricReductionSchema,
  windowMs: v.pipe(v.number(), v.finite(), v.gtValue(0)),
};
/** Traces have these labels and no others, so another name is a mistake. */
const ofRequests = v.strictObject({
  ...common,
  metric: v.literal(requestMetric),
  match: v.optional(v.strictObject(v.entriesFromList(requestLabels, v.optional(labelMatchSchema)))),
  by: v.optional(v.array(v.picklist(requestLabels))),
});
const ofRecorded = v.strictObject({
  ...common,
  metric: v.pipe(v.string(), v.nonEmpty()),
  match: v.optional(v.record(v.string(), labelMatchSchema)),
  by: v.optional(v.array(v.string())),
});
const callSchema = v.object({
  call: v.object({ signal: signalSchema, atMs: v.optional(v.pipe(v.number(), v.finite())) }),
});

const selectionSchema = v.lazy(selectionOf);
const ratioSchema = v.strictObject({ ratio: v.strictObject({ part: selectionSchema, whole: selectionSchema }) });
const querySchema = v.lazy((query) =>
  (query as { readonly ratio?: unknown } | null | undefined)?.ratio === undefined ? selectionOf(query) : ratioSchema,
);

function selectionOf(selection: unknown): typeof ofRequests | typeof ofRecorded {
  return (selection as Partial<MetricSelection> | null | undefined)?.metric === requestMetric ? ofRequests : ofRecorded;
}

/**
 * Refuses a query that names what it does not know, which would count everything.
 *
 * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID` with every issue.
 */
export function checkMetricQuery(query: unknown): void {
  parseOptions('metricSource.query', querySchema, query);
}

/** Refuses a call without a signal. */
export function checkMetricCall(call: unknown): void {
  parseOptions('metricSource.query', callSchema, { call });
}
