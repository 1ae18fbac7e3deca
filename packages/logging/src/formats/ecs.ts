import type { JsonValue, NewLogEntry } from '@mnops/core/spi';

/** Version of the Elastic Common Schema whose field names are used. */
const ecsVersion = '8.11.0';

/** An entry with the field names of the Elastic Common Schema; attributes stand beside them. */
export function ecsLine(entry: NewLogEntry): string {
  const { error, ...attributes } = entry.attributes;
  return JSON.stringify({
    ...attributes,
    '@timestamp': new Date(entry.timeMs).toISOString(),
    'log.level': entry.level,
    message: entry.message,
    'ecs.version': ecsVersion,
    ...(entry.logger !== undefined && { 'log.logger': entry.logger }),
    ...resourceFields(entry),
    ...(entry.traceId !== undefined && { 'trace.id': entry.traceId }),
    ...(entry.spanId !== undefined && { 'span.id': entry.spanId }),
    ...errorFields(error),
  });
}

function resourceFields({ resource }: NewLogEntry): Record<string, JsonValue> {
  const fields: Record<string, JsonValue> = {};
  const rename: Readonly<Record<string, string>> = {
    'service.instance.id': 'service.node.name',
    'deployment.environment.name': 'service.environment',
  };
  for (const [key, value] of Object.entries(resource)) fields[rename[key] ?? key] = value;
  return fields;
}

function errorFields(error: JsonValue | undefined): Record<string, JsonValue> {
  if (error === undefined) return {};
  if (typeof error !== 'object' || error === null || Array.isArray(error)) return { error };
  const { type, message, stack } = error as Readonly<Record<string, JsonValue>>;
  return {
    ...(type !== undefined && { 'error.type': type }),
    ...(message !== undefined && { 'error.message': message }),
    ...(stack !== undefined && { 'error.stack_trace': stack }),
  };
}
