import { parseOptions, signalSchema } from '@mnops/core/config';
import * as v from 'valibot';

const millisecondsSchema = v.optional(v.pipe(v.number(), v.minValue(0)));
/** Checks for what `CallOptions` has. */
export const callEntries: {
  readonly signal: v.GenericSchema<AbortSignal | undefined>;
  readonly timeoutMs: v.GenericSchema<number | undefined>;
} = { signal: v.optional(signalSchema), timeoutMs: millisecondsSchema };
const callSchema = v.strictObject(callEntries);
const stopSchema = v.strictObject({ graceMs: millisecondsSchema });

/** Methods of the manager that take `CallOptions`. */
type Method = 'start' | 'flush' | 'ingest' | 'getTrace' | 'findTraces' | 'findRootCause';

/**
 * Refuses options that a call does not know or cannot use.
 *
 * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID` with every issue.
 */
export function checkCallOptions(method: Method, options: unknown): void {
  parseOptions(method, callSchema, options);
}

/**
 * Refuses options of `stop` that it cannot use.
 *
 * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID` with every issue.
 */
export function checkStopOptions(options: unknown): void {
  parseOptions('stop', stopSchema, options);
}

const traceIdSchema = v.object({ traceId: v.string('the id of a trace, as text') });
const spansSchema = v.object({
  spans: v.custom(
    (value) =>
      typeof value === 'object' && value !== null && (Symbol.iterator in value || Symbol.asyncIterator in value),
    'spans in a list or another iterable',
  ),
});

/** Refuses an id that is no text. */
export function checkTraceId(traceId: unknown): void {
  parseOptions('getTrace', traceIdSchema, { traceId });
}

/** Refuses what gives no spans. */
export function checkSpans(spans: unknown): void {
  parseOptions('ingest', spansSchema, { spans });
}
