import { countSchema, parseOptions, signalSchema } from '@mnops/core/config';
import * as v from 'valibot';
import { levelNames } from './logger/levels.js';

const signal = v.optional(signalSchema);
const timeoutMs = v.optional(v.pipe(v.number(), v.minValue(0)));
const level = v.optional(v.picklist([...levelNames, 'silent']));
type Method = 'append' | 'search' | 'tail' | 'health' | 'stats' | 'logger';

const schemas: Readonly<Record<Method, v.GenericSchema>> = {
  append: v.strictObject({ signal, timeoutMs }),
  search: v.strictObject({ signal, timeoutMs, maxScanBytes: v.optional(v.union([countSchema, endless()])) }),
  tail: v.strictObject({ signal }),
  health: v.strictObject({}),
  stats: v.strictObject({}),
  logger: v.strictObject({ level }),
};

/** The options of a call that has none yet: an unknown name is refused, not passed by. */
export type NoOptions = Readonly<Record<string, never>>;

/** Checks the options of one call of the manager. Throws `MNOPS_CORE_CONFIG_INVALID`, unknown names included. */
export function checkCallOptions(method: Method, options: unknown): void {
  if (typeof options === 'object' && options !== null && Object.keys(options).length === 0) return;
  parseOptions(method, schemas[method], options);
}

function endless(): v.GenericSchema<number> {
  return v.literal(Number.POSITIVE_INFINITY, 'a whole number of at least 1, or Infinity');
}
