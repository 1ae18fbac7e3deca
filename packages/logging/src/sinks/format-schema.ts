import * as v from 'valibot';

/** The `format` option of the host and of sinks. */
export const formatSchema: v.GenericSchema<unknown> = v.union([
  v.picklist(['otel', 'ecs', 'pretty']),
  v.custom<() => string>((value) => typeof value === 'function', 'a function'),
]);
