import type { Context } from '@opentelemetry/api';

/** An empty context that needs no OpenTelemetry, for calls before `start()`. */
export function emptyContext(entries: ReadonlyMap<symbol, unknown> = new Map()): Context {
  return {
    getValue: (key) => entries.get(key),
    setValue: (key, value) => emptyContext(new Map(entries).set(key, value)),
    deleteValue: (key) => {
      const rest = new Map(entries);
      rest.delete(key);
      return emptyContext(rest);
    },
  };
}
