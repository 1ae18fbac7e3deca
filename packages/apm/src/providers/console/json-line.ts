import type { Span } from '@mnops/core/spi';

/** One span as one line of JSON. Times are ISO 8601 to the nanosecond, durations milliseconds. */
export function jsonLine(span: Span): string {
  const { traceId, spanId, parentSpanId, name, kind, status, attributes, resource, scope, events, links } = span;
  const line = {
    time: isoTime(span.startTimeUnixNano),
    traceId,
    spanId,
    ...(parentSpanId === undefined ? {} : { parentSpanId }),
    service: resource['service.name'],
    name,
    kind,
    durationMs: Number(span.durationNano) / 1e6,
    status,
    attributes,
    ...(events.length === 0
      ? {}
      : { events: events.map((event) => ({ ...event, timeUnixNano: undefined, time: isoTime(event.timeUnixNano) })) }),
    ...(links.length === 0 ? {} : { links }),
    scope,
  };
  return `${JSON.stringify(line)}\n`;
}

/** A time as ISO 8601 with nine digits of a second. */
function isoTime(nanoseconds: bigint): string {
  const whole = new Date(Number(nanoseconds / 1_000_000_000n) * 1_000).toISOString().slice(0, -5);
  return `${whole}.${(nanoseconds % 1_000_000_000n).toString().padStart(9, '0')}Z`;
}
