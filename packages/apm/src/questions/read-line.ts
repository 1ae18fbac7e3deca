/** What a line says about itself; what it does not say is absent. */
export interface ReadLine {
  readonly message: string;
  /** Epoch milliseconds. */
  readonly atMs?: number | undefined;
  readonly level?: string | undefined;
  readonly traceId?: string | undefined;
  readonly spanId?: string | undefined;
}

// Names by which JSON loggers call these fields.
const timeKeys = ['timestamp', '@timestamp', 'time', 'ts'];
const levelKeys = ['severityText', 'level', 'severity', 'log.level'];
const messageKeys = ['body', 'message', 'msg'];
const traceKeys = ['traceId', 'trace_id', 'trace.id'];
const spanKeys = ['spanId', 'span_id', 'span.id'];
/** Levels that some loggers write as numbers. */
const numberedLevels: Readonly<Record<number, string>> = {
  10: 'trace',
  20: 'debug',
  30: 'info',
  40: 'warn',
  50: 'error',
  60: 'fatal',
};
const isoTime = /^\[?(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?)/;

/** Reads a line of a JSON logger by its usual field names, or text that may begin with an ISO time. It never throws. */
export function readLine(text: string): ReadLine {
  const fields = text.startsWith('{') ? objectOf(text) : undefined;
  if (fields === undefined) {
    const time = isoTime.exec(text)?.[1];
    return { message: text, atMs: timeOf(time) };
  }
  const pick = <T>(keys: readonly string[], read: (value: unknown) => T | undefined): T | undefined => {
    for (const key of keys) {
      const value = Object.hasOwn(fields, key) ? read(fields[key]) : undefined;
      if (value !== undefined) return value;
    }
    return undefined;
  };
  const nonEmpty = (value: unknown): string | undefined =>
    typeof value === 'string' && value !== '' ? value : undefined;
  return {
    message: pick(messageKeys, nonEmpty) ?? text,
    atMs: pick(timeKeys, timeOf),
    level: pick(levelKeys, (value) => (typeof value === 'number' ? numberedLevels[value] : nonEmpty(value))),
    traceId: pick(traceKeys, nonEmpty),
    spanId: pick(spanKeys, nonEmpty),
  };
}

function objectOf(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    return JSON.parse(text) as Readonly<Record<string, unknown>>;
  } catch {
    return undefined;
  }
}

/** Epoch milliseconds of ISO text, or of seconds or milliseconds since 1970. */
function timeOf(value: unknown): number | undefined {
  if (typeof value === 'number') return value > 1e11 ? value : value > 1e8 ? value * 1_000 : undefined;
  if (typeof value !== 'string' || !isoTime.test(value)) return undefined;
  const ms = Date.parse(value.replace(',', '.'));
  return Number.isNaN(ms) ? undefined : ms;
}
