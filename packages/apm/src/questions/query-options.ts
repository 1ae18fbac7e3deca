import { countSchema, parseOptions } from '@mnops/core/config';
import * as v from 'valibot';
import { operationKinds } from '../span-kinds.js';

const text = v.optional(v.string());
const date = v.optional(v.date('a date'));
const schemas: Readonly<Record<QueryCall, v.GenericSchema>> = {
  findTraces: v.strictObject({
    service: text,
    operation: text,
    minDurationMs: v.optional(v.pipe(v.number(), v.minValue(0))),
    error: v.optional(v.boolean()),
    from: date,
    to: date,
    attributes: v.optional(v.record(v.string(), v.unknown())),
    limit: v.optional(countSchema),
  }),
  detectAnomalies: v.strictObject({
    service: text,
    operation: text,
    signal: v.optional(v.picklist(['duration', 'errors', 'throughput', 'metric'])),
    open: v.optional(v.boolean()),
    since: date,
  }),
  baselines: v.strictObject({
    service: text,
    operation: text,
    kind: v.optional(v.picklist(operationKinds)),
    at: date,
  }),
  serviceMap: v.optional(v.strictObject({ from: date, to: date })),
};

type QueryCall = 'findTraces' | 'detectAnomalies' | 'baselines' | 'serviceMap';

/**
 * Refuses a query that names what it does not know: a misspelt condition would match everything.
 *
 * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID` with every issue.
 */
export function checkQuery(name: QueryCall, query: unknown): void {
  parseOptions(name, schemas[name], query);
}
