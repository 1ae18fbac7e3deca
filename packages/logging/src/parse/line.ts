import type { LogAttributes, LogFlag, NewLogEntry } from '@mnops/core/spi';
import { parseLevel } from '../logger/levels.js';
import { type ParsedLine, parseForeignJson, parseTime } from './foreign-json.js';
import { entryOfOwnLine } from './own-line.js';

/** How lines of a source are read. */
export type LineFormat = 'auto' | 'json' | 'text';

/** What is known of a line beside its text. */
export interface LineOrigin {
  readonly stream: string;
  readonly observedMs: number;
  /** When the source saw it; used when the line has no time of its own. */
  readonly timeMs?: number | undefined;
  /** Who wrote it, unless the line says so itself. */
  readonly resource: LogAttributes;
  /** Further attributes; those of the line win. */
  readonly attributes?: LogAttributes | undefined;
}

/**
 * Reads one line: a line of this package without loss, JSON of other loggers by their usual field names, anything else as
 * text. It never throws: what does not parse is kept whole as text.
 */
export function parseLine(text: string, origin: LineOrigin, format: LineFormat = 'auto'): NewLogEntry {
  const looksLikeJson = text.startsWith('{') || text.trimStart().startsWith('{');
  if (format === 'text' || !looksLikeJson) {
    return entryOf(parseText(text), origin, 'text', format === 'json' ? ['lenient'] : undefined);
  }
  const value = parseObject(text);
  if (value === undefined) return entryOf(parseText(text), origin, 'text', ['lenient']);
  const own = entryOfOwnLine(value);
  if (own !== undefined) return withOrigin(own, origin);
  return entryOf(parseForeignJson(keepLongNumbers(text, value)), origin, 'json', undefined);
}

function withOrigin(own: NewLogEntry, origin: LineOrigin): NewLogEntry {
  const attributes = origin.attributes === undefined ? own.attributes : { ...origin.attributes, ...own.attributes };
  const resource = { ...origin.resource, ...own.resource };
  return { ...own, attributes, resource, stream: origin.stream, observedMs: origin.observedMs, format: 'json' };
}

function entryOf(
  line: ParsedLine,
  origin: LineOrigin,
  format: 'json' | 'text',
  flags: readonly LogFlag[] | undefined,
): NewLogEntry {
  return {
    stream: origin.stream,
    timeMs: line.timeMs ?? origin.timeMs ?? origin.observedMs,
    observedMs: origin.observedMs,
    level: line.level ?? 'info',
    severityNumber: line.severityNumber ?? 9,
    message: line.message,
    ...(line.logger !== undefined && { logger: line.logger }),
    attributes: { ...origin.attributes, ...line.attributes },
    resource: origin.resource,
    ...(line.traceId !== undefined && { traceId: line.traceId }),
    ...(line.spanId !== undefined && { spanId: line.spanId }),
    format,
    ...(flags !== undefined && { flags }),
  };
}

const textStart = /^\[?(\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d)?(?:[.,]\d{1,9})?(?:Z| ?[+-]\d\d:?\d\d)?)?\]?/;
const textLevel = /^[\s|:-]{0,8}[[(<]?([A-Za-z]{3,13})(?=[\])>]|[\s:|-])/;

/** Reads the time and the level that a text line begins with; the message stays the whole line. */
export function parseText(text: string): ParsedLine {
  const time = textStart.exec(text.slice(0, 64));
  const timeMs = parseTime(time?.[1]);
  const rest = text.slice(timeMs === undefined ? 0 : (time?.[0].length ?? 0), 160);
  const level = parseLevel(textLevel.exec(rest)?.[1]);
  return { timeMs, ...level, message: text, attributes: {} };
}

function parseObject(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Readonly<Record<string, unknown>>)
      : undefined;
  } catch {
    return undefined;
  }
}

/** Integers over 2^53 would lose digits: they become texts. */
function keepLongNumbers(text: string, value: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  if (!/\d{16}/.test(text)) return value;
  // Inside a text the added quotes make the JSON invalid; the value is then used as it was read first.
  const quoted = text.replace(
    /([:[,]\s{0,8})(-?\d{16,64})(?=\s{0,8}[,}\]])/g,
    (whole, before: string, digits: string) => (Number.isSafeInteger(Number(digits)) ? whole : `${before}"${digits}"`),
  );
  return parseObject(quoted) ?? value;
}
