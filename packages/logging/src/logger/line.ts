import type { NewLogEntry, ServiceIdentity } from '@mnops/core/spi';
import type { FieldEncoder } from './encode-json.js';
import { levelNames, severityNumbers } from './levels.js';
import { quote } from './quote.js';

/**
 * The parts of a line that stand between its time and its message, by rank of level. A line is JSON with the field names
 * of OpenTelemetry's log data model.
 */
export function lineHeads(logger: string | undefined, resource: string): readonly string[] {
  const scope = logger === undefined || logger === '' ? '' : `,"scope":${quote(logger)}`;
  return levelNames.map(
    (level, rank) =>
      `","severityText":"${level}","severityNumber":${severityNumbers[rank]}${scope},"resource":{${resource}},"body":`,
  );
}

/** Members of the resource as JSON text, by OpenTelemetry's resource names. */
export function resourceText(identity: ServiceIdentity, encoder: FieldEncoder): string {
  return encoder.fields(resourceOf(identity));
}

/** A service identity by OpenTelemetry's resource names. */
export function resourceOf(identity: ServiceIdentity): Record<string, string> {
  const resource: Record<string, string> = { 'service.name': identity.name };
  if (identity.namespace !== undefined) resource['service.namespace'] = identity.namespace;
  if (identity.version !== undefined) resource['service.version'] = identity.version;
  if (identity.instance !== undefined) resource['service.instance.id'] = identity.instance;
  if (identity.environment !== undefined) resource['deployment.environment.name'] = identity.environment;
  if (identity.revision !== undefined) resource['service.revision'] = identity.revision;
  return { ...identity.attributes, ...resource };
}

/** Encodes whole entries as lines. A line over the limit keeps the start of its message and no attributes. */
export function entryLine(
  encoder: FieldEncoder,
  stamp: (ms: number) => string,
  maxLineBytes: number,
): (entry: NewLogEntry) => string {
  const encode = wholeLine(encoder, stamp);
  return (entry) => {
    const line = encode(entry);
    if (line.length * 3 <= maxLineBytes || Buffer.byteLength(line) <= maxLineBytes) return line;
    const attributes = { originalLength: Math.max(line.length, entry.message.length) };
    const flags = [...new Set([...(entry.flags ?? []), 'truncated' as const])];
    // The message is cut after redaction: half a secret is one that no pattern finds.
    return encode({ ...entry, attributes, flags }, Math.floor(maxLineBytes / 8));
  };
}

function wholeLine(
  encoder: FieldEncoder,
  stamp: (ms: number) => string,
): (entry: NewLogEntry, messageLimit?: number) => string {
  return (entry, messageLimit) => {
    let line = `{"timestamp":"${stamp(entry.timeMs)}"`;
    if (entry.observedMs !== entry.timeMs) line += `,"observedTimestamp":"${stamp(entry.observedMs)}"`;
    line += `,"severityText":"${entry.level}","severityNumber":${entry.severityNumber}`;
    if (entry.logger !== undefined) line += `,"scope":${quote(entry.logger)}`;
    line += `,"stream":${quote(entry.stream)},"resource":{${encoder.fields(entry.resource)}}`;
    line += `,"body":${encoder.message(entry.message, messageLimit)}`;
    const attributes = encoder.fields(entry.attributes);
    if (attributes !== '') line += `,"attributes":{${attributes}}`;
    if (entry.traceId !== undefined) line += `,"traceId":"${entry.traceId}"`;
    if (entry.spanId !== undefined) line += `,"spanId":"${entry.spanId}"`;
    if (entry.format !== undefined) line += `,"format":"${entry.format}"`;
    const flags = encoder.takeTruncated() ? [...new Set([...(entry.flags ?? []), 'truncated'])] : entry.flags;
    if (flags !== undefined && flags.length > 0) line += `,"flags":${JSON.stringify(flags)}`;
    return `${line}}\n`;
  };
}

/** The end of a line that was cut. */
export const truncatedTail = ',"flags":["truncated"]}\n';
