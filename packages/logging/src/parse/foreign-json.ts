import type { LogAttributes, LogLevel } from '@mnops/core/spi';
import { isSpanId, isTraceId } from '../logger/context.js';
import { parseLevel } from '../logger/levels.js';

/** What a line says about itself; what it does not say is absent. */
export interface ParsedLine {
  readonly timeMs?: number | undefined;
  readonly level?: LogLevel | undefined;
  readonly severityNumber?: number | undefined;
  readonly message: string;
  readonly logger?: string | undefined;
  readonly attributes: LogAttributes;
  readonly traceId?: string | undefined;
  readonly spanId?: string | undefined;
}

// Names by which JSON loggers call these fields: OpenTelemetry, ECS, pino, bunyan, winston, zap, slog, logrus, GCP.
const timeKeys = ['timestamp', '@timestamp', 'time', 'ts', 'eventTime'] as const;
const levelKeys = ['severityText', 'level', 'severity', 'log.level', 'lvl'] as const;
const messageKeys = ['body', 'message', 'msg', 'event'] as const;
const loggerKeys = ['scope', 'logger', 'log.logger'] as const;
const traceKeys = ['traceId', 'trace_id', 'trace.id', 'traceID'] as const;
const spanKeys = ['spanId', 'span_id', 'span.id', 'spanID'] as const;

/** Reads an object that some JSON logger wrote. A field whose value is not understood stays among the attributes. */
export function parseForeignJson(source: Readonly<Record<string, unknown>>): ParsedLine {
  const used = new Set<string>();
  const take = <T>(keys: readonly string[], read: (value: unknown) => T | undefined): T | undefined => {
    for (const key of keys) {
      if (!Object.hasOwn(source, key)) continue;
      const value = read(source[key]);
      if (value === undefined) continue;
      used.add(key);
      return value;
    }
    return undefined;
  };
  const timeMs = take(timeKeys, parseTime);
  const level = take(levelKeys, parseLevel);
  const message = take(messageKeys, (value) => (typeof value === 'string' ? value : undefined));
  const logger = take(loggerKeys, (value) => (typeof value === 'string' && value !== '' ? value : undefined));
  const traceId = take(traceKeys, (value) => (isTraceId(value) ? value : undefined));
  const spanId = take(spanKeys, (value) => (isSpanId(value) ? value : undefined));
  // `fromEntries` defines each key, so that a key `__proto__` is one like any other.
  const attributes = Object.fromEntries(Object.entries(source).filter(([key]) => !used.has(key))) as LogAttributes;
  return { timeMs, ...level, message: message ?? '', logger, attributes, traceId, spanId };
}

/** Milliseconds behind an ISO time, or behind seconds, milli-, micro- or nanoseconds since 1970. */
export function parseTime(value: unknown): number | undefined {
  if (typeof value === 'string') {
    if (!/^\d{4}-\d\d-\d\d[T ]\d\d:\d\d/.test(value)) return undefined;
    const ms = Date.parse(value.replace(',', '.'));
    return Number.isNaN(ms) ? undefined : ms;
  }
  if (typeof value !== 'number' || !(value > 1e8)) return undefined;
  // Each unit has its own range of plausible values between 1973 and 5138.
  if (value < 1e11) return Math.floor(value * 1000);
  if (value < 1e14) return Math.floor(value);
  if (value < 1e17) return Math.floor(value / 1e3);
  return value < 1e20 ? Math.floor(value / 1e6) : undefined;
}
