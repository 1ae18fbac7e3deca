import { parseOptions } from '@mnops/core/config';
import * as v from 'valibot';

const objectSchema = v.custom<object>((value) => typeof value === 'object' && value !== null, 'an object');
const listSchema = v.custom<readonly object[]>(
  (value) => Array.isArray(value) && value.every((one) => typeof one === 'object' && one !== null),
  'a list of objects',
);
const options = {
  color: v.optional(v.boolean()),
  width: v.optional(v.pipe(v.number(), v.finite(), v.maxValue(10_000))),
};
type Writer = 'traceTree' | 'serviceMapText' | 'baselineTable' | 'rootCauseText';
const schemas: Readonly<Record<Writer, v.GenericSchema>> = {
  traceTree: v.object({
    trace: v.object({ traceId: v.string(), startedAt: v.date(), durationMs: v.number(), spans: listSchema }),
    options: v.strictObject({ ...options, maxSpans: v.optional(v.pipe(v.number(), v.minValue(0))) }),
  }),
  serviceMapText: v.object({
    map: v.object({ services: listSchema, dependencies: listSchema }),
    options: v.strictObject(options),
  }),
  baselineTable: v.object({ baselines: listSchema, options: v.strictObject(options) }),
  rootCauseText: v.object({
    report: v.object({
      verdict: v.picklist(['found', 'none']),
      candidates: listSchema,
      traces: objectSchema,
    }),
    options: v.strictObject(options),
  }),
};

/**
 * Refuses what cannot be written, such as the `undefined` of a trace that was not found.
 *
 * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID` with every issue.
 */
export function checkArguments(name: Writer, given: Readonly<Record<string, unknown>>): void {
  parseOptions(name, schemas[name], given);
}
