import type { LogAttributes, LogFlag, NewLogEntry } from '@mnops/core/spi';
import { isSpanId, isTraceId } from '../logger/context.js';
import { isLogLevel, levelOfSeverity, levelRanks, severityNumbers } from '../logger/levels.js';

const flagNames: readonly LogFlag[] = ['truncated', 'lenient'];

/** Whether parsed JSON is a line that this package wrote. */
export function isOwnLine(value: Readonly<Record<string, unknown>>): boolean {
  return (
    typeof value['timestamp'] === 'string' &&
    typeof value['severityText'] === 'string' &&
    typeof value['severityNumber'] === 'number' &&
    typeof value['body'] === 'string' &&
    isRecord(value['resource'])
  );
}

/**
 * The entry behind a line that this package wrote, with nothing lost.
 *
 * @returns `undefined` when it is no such line, or one of its fields is not what this package writes.
 */
export function entryOfOwnLine(value: Readonly<Record<string, unknown>>): NewLogEntry | undefined {
  if (!isOwnLine(value)) return undefined;
  const timeMs = Date.parse(String(value['timestamp']));
  const severityNumber = Number(value['severityNumber']);
  if (Number.isNaN(timeMs) || !Number.isInteger(severityNumber)) return undefined;
  const resource = value['resource'] as LogAttributes;
  const named = value['severityText'];
  const level = isLogLevel(named) ? named : levelOfSeverity(severityNumber);
  const observed = Date.parse(String(value['observedTimestamp']));
  return {
    stream: textOr(value['stream'], textOr(resource['service.name'], '')),
    timeMs,
    observedMs: Number.isNaN(observed) ? timeMs : observed,
    level,
    severityNumber:
      severityNumber > 0 && severityNumber <= 24 ? severityNumber : (severityNumbers[levelRanks[level]] ?? 9),
    message: String(value['body']),
    ...optional('logger', value['scope'], (scope) => typeof scope === 'string'),
    attributes: isRecord(value['attributes']) ? (value['attributes'] as LogAttributes) : {},
    resource,
    ...optional('traceId', value['traceId'], isTraceId),
    ...optional('spanId', value['spanId'], isSpanId),
    ...optional('format', value['format'], (format) => format === 'json' || format === 'text'),
    ...flagsOf(value['flags']),
  };
}

function flagsOf(value: unknown): { flags?: readonly LogFlag[] } {
  if (!Array.isArray(value)) return {};
  const flags = flagNames.filter((flag) => value.includes(flag));
  return flags.length === 0 ? {} : { flags };
}

function optional(key: string, value: unknown, accepts: (value: unknown) => boolean): Record<string, never> {
  return accepts(value) ? ({ [key]: value } as Record<string, never>) : {};
}

function textOr(value: unknown, fallback: string): string {
  return typeof value === 'string' ? value : fallback;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
