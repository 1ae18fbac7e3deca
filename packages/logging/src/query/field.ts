import type { LogEntry } from '@mnops/core/spi';

/** The value of a field by name: a field of the entry, of its resource, or an attribute by key or path. */
export function fieldOf(entry: LogEntry, name: string): unknown {
  switch (name) {
    case 'service':
      return entry.resource['service.name'];
    case 'message':
    case 'level':
    case 'severityNumber':
    case 'logger':
    case 'stream':
    case 'traceId':
    case 'spanId':
    case 'format':
      return entry[name];
    default:
      break;
  }
  if (Object.hasOwn(entry.attributes, name)) return entry.attributes[name];
  if (name.startsWith('resource.')) return atPath(entry.resource, name.slice('resource.'.length));
  return atPath(entry.attributes, name);
}

/** Follows a path; a key that itself holds dots is tried before its parts. */
function atPath(value: unknown, path: string): unknown {
  if (typeof value !== 'object' || value === null) return undefined;
  if (Object.hasOwn(value, path)) return (value as Record<string, unknown>)[path];
  for (let dot = path.indexOf('.'); dot !== -1; dot = path.indexOf('.', dot + 1)) {
    const key = path.slice(0, dot);
    if (!Object.hasOwn(value, key)) continue;
    const found = atPath((value as Record<string, unknown>)[key], path.slice(dot + 1));
    if (found !== undefined) return found;
  }
  return undefined;
}
