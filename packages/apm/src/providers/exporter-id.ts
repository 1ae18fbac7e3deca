import * as v from 'valibot';

/** Name of an exporter in counters, events and folder names. */
export const exporterIdSchema: v.GenericSchema<string> = v.pipe(
  v.string(),
  v.regex(/^[a-z0-9]+(-[a-z0-9]+)*$/, 'lower-case words with - between'),
);
