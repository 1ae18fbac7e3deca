import type { Span, SpanEvent } from '@mnops/core/spi';

/** An event of a span as `JSON.stringify` writes it. */
export interface SpanEventJson extends Omit<SpanEvent, 'timeUnixNano'> {
  /** Nanoseconds since the Unix epoch, in decimal digits. */
  readonly timeUnixNano: string;
}

/** A span as `JSON.stringify` writes it. */
export interface SpanJson extends Omit<Span, 'startTimeUnixNano' | 'durationNano' | 'events'> {
  /** Nanoseconds since the Unix epoch, in decimal digits: a number of JSON would lose the last ones. */
  readonly startTimeUnixNano: string;
  /** Nanoseconds, in decimal digits. */
  readonly durationNano: string;
  readonly events: readonly SpanEventJson[];
}

/** The span as plain data: times and durations in nanoseconds are decimal digits, all else is as it was. */
export function spanJson(span: Span): SpanJson {
  return {
    ...span,
    startTimeUnixNano: String(span.startTimeUnixNano),
    durationNano: String(span.durationNano),
    events: span.events.map((event) => ({ ...event, timeUnixNano: String(event.timeUnixNano) })),
  };
}
