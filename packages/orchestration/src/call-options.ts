import { durationMsSchema, parseOptions, signalSchema } from '@mnops/core/config';
import * as v from 'valibot';

const common = {
  signal: v.optional(signalSchema),
  // No end is an end too: `Infinity` waits for as long as it takes.
  timeoutMs: v.optional(v.pipe(v.number(), v.minValue(0))),
};
const special: Readonly<Record<string, v.GenericSchema>> = {
  scale: v.strictObject({ ...common, hold: v.optional(v.boolean()) }),
  rollback: v.strictObject({ ...common, toRevision: v.optional(v.string()) }),
  promote: v.strictObject({ ...common, full: v.optional(v.boolean()) }),
  stop: v.strictObject({ graceMs: v.optional(durationMsSchema) }),
};
const plain = v.strictObject(common);

/**
 * Refuses options that a call of the host does not have, before it does anything.
 *
 * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID`.
 */
export function checkCall(operation: string, options: unknown): void {
  parseOptions(`${operation}()`, special[operation] ?? plain, options);
}
