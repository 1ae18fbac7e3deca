import { parseOptions, textSchema } from '@mnops/core/config';
import * as v from 'valibot';

const dateSchema = v.custom<Date>((value) => value instanceof Date && !Number.isNaN(value.getTime()), 'a valid Date');
const signalSchema = v.custom<AbortSignal>(
  (value) => typeof (value as AbortSignal | null)?.addEventListener === 'function',
  'an AbortSignal',
);
const call = {
  signal: v.optional(signalSchema),
  timeoutMs: v.optional(v.pipe(v.number(), v.minValue(0))),
};
const idsSchema = v.array(textSchema);
const pointSchema = v.union([
  v.literal('latest'),
  v.strictObject({ id: textSchema }),
  v.strictObject({ time: dateSchema }),
]);
const callbackSchema = v.custom<(...args: never[]) => unknown>((value) => typeof value === 'function', 'a function');
const healthSchema = v.custom<object>(
  (value) => typeof (value as { check?: unknown } | null)?.check === 'function',
  'a health source: a probe of the service, or the `healthSource` of another package',
);

const planSchema = v.strictObject({
  name: v.optional(textSchema),
  point: v.optional(pointSchema),
  stop: v.optional(callbackSchema),
  restore: v.optional(v.strictObject({ sources: v.optional(idsSchema) })),
  start: v.optional(callbackSchema),
  ready: healthSchema,
  drill: v.optional(v.strictObject({ start: callbackSchema, ready: callbackSchema })),
  readyTimeoutMs: v.optional(v.pipe(v.number(), v.minValue(0))),
  readyPollMs: v.optional(v.pipe(v.number(), v.minValue(0))),
});

type CheckedCall = 'backup' | 'restore' | 'validate' | 'recoveryPoints' | 'recover' | 'drill' | 'complianceReport';

/** What each call may be given. Strict: a misspelt option would be an order that is not followed. */
const schemas: Readonly<Record<CheckedCall, v.GenericSchema>> = {
  backup: v.strictObject({
    ...call,
    sources: v.optional(idsSchema),
    tags: v.optional(v.array(textSchema)),
    allowPartial: v.optional(v.boolean()),
  }),
  restore: v.strictObject({
    ...call,
    point: v.optional(pointSchema),
    target: v.union([v.strictObject({ folder: textSchema }), v.strictObject({ inPlace: v.literal(true) })]),
    sources: v.optional(idsSchema),
    verify: v.optional(v.boolean()),
    allowPartial: v.optional(v.boolean()),
  }),
  validate: v.strictObject({ ...call, depth: v.optional(v.picklist(['structure', 'full'])) }),
  recoveryPoints: v.strictObject({
    source: v.optional(textSchema),
    from: v.optional(dateSchema),
    to: v.optional(dateSchema),
  }),
  recover: v.strictObject({
    plan: planSchema,
    options: v.strictObject({ ...call, outageStartedAt: dateSchema, lastWriteAt: v.optional(dateSchema) }),
  }),
  drill: v.strictObject({
    plan: planSchema,
    options: v.strictObject({ ...call, lastWriteAt: v.optional(dateSchema), keep: v.optional(v.boolean()) }),
  }),
  complianceReport: v.strictObject({
    ...call,
    framework: v.literal('soc2'),
    from: dateSchema,
    to: dateSchema,
    format: v.optional(v.picklist(['json', 'markdown'])),
    folder: v.optional(textSchema),
  }),
};

/**
 * Refuses options that a call does not know or cannot use, before anything happens.
 *
 * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID` with every issue.
 */
export function checkCall(name: CheckedCall, given: unknown): void {
  parseOptions(name, schemas[name], given);
}
