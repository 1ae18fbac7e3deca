import type { Span, SpanAttributes, SpanAttributeValue, SpanBatch } from '@mnops/core/spi';

// Numbers of opentelemetry/proto/trace/v1/trace.proto.
const kindNumbers = { internal: 1, server: 2, client: 3, producer: 4, consumer: 5 } as const;
const statusNumbers = { unset: 0, ok: 1, error: 2 } as const;
const hasIsRemote = 0x100;
const isRemote = 0x200;

/** A batch as an `ExportTraceServiceRequest` in the JSON encoding of OTLP: camelCase names, hexadecimal ids, 64-bit numbers as text. */
export function encodeOtlpJson(batch: SpanBatch): string {
  const resourceSpans = batch.groups.map(({ resource, scope, spans }) => ({
    resource: { attributes: keyValues(resource) },
    scopeSpans: [
      {
        scope: scope.version === undefined ? { name: scope.name } : { name: scope.name, version: scope.version },
        spans: spans.map(encodeSpan),
      },
    ],
  }));
  return JSON.stringify({ resourceSpans });
}

function encodeSpan(span: Span): object {
  const { parentSpanId, traceState, status, dropped } = span;
  // The remote bits say whether the parent lies in another process, as far as that is known.
  const remote = span.parentIsRemote === undefined ? 0 : hasIsRemote | (span.parentIsRemote ? isRemote : 0);
  return {
    traceId: span.traceId,
    spanId: span.spanId,
    ...(traceState === undefined ? {} : { traceState }),
    ...(parentSpanId === undefined ? {} : { parentSpanId }),
    flags: (span.traceFlags & 0xff) | remote,
    name: wellFormed(span.name),
    kind: kindNumbers[span.kind],
    startTimeUnixNano: span.startTimeUnixNano.toString(),
    endTimeUnixNano: (span.startTimeUnixNano + span.durationNano).toString(),
    attributes: keyValues(span.attributes),
    droppedAttributesCount: dropped.attributes,
    events: span.events.map(({ name, timeUnixNano, attributes }) => ({
      timeUnixNano: timeUnixNano.toString(),
      name: wellFormed(name),
      attributes: keyValues(attributes),
    })),
    droppedEventsCount: dropped.events,
    links: span.links.map(({ traceId, spanId, traceState: state, attributes }) => ({
      traceId,
      spanId,
      ...(state === undefined ? {} : { traceState: state }),
      attributes: keyValues(attributes),
    })),
    droppedLinksCount: dropped.links,
    status:
      status.message === undefined
        ? { code: statusNumbers[status.code] }
        : { code: statusNumbers[status.code], message: wellFormed(status.message) },
  };
}

function keyValues(attributes: SpanAttributes): { key: string; value: object }[] {
  const result: { key: string; value: object }[] = [];
  for (const [key, value] of Object.entries(attributes)) {
    const encoded = anyValue(value);
    if (encoded !== undefined) result.push({ key: wellFormed(key), value: encoded });
  }
  return result;
}

function anyValue(value: SpanAttributeValue | null): object | undefined {
  switch (typeof value) {
    case 'string':
      return { stringValue: wellFormed(value) };
    case 'boolean':
      return { boolValue: value };
    case 'number':
      if (Number.isSafeInteger(value)) return { intValue: String(value) };
      // JSON has no such numbers; protobuf's JSON form writes them as text.
      return { doubleValue: Number.isFinite(value) ? value : String(value) };
    default:
      if (!Array.isArray(value)) return undefined;
      return { arrayValue: { values: value.map((item) => anyValue(item) ?? {}) } };
  }
}

/** Text without halves of characters, which no UTF-8 can carry. */
function wellFormed(text: string): string {
  return text.replace(/\p{Surrogate}/gu, '\ufffd');
}
