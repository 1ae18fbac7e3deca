import type { Span, SpanAttributes, SpanBatch } from '@mnops/core/spi';
import { hasIsRemote, isRemote, kindNumbers, statusNumbers } from './otlp-numbers.js';
import { ProtobufWriter } from './protobuf-writer.js';

// Tags are `field << 3 | wire type` of opentelemetry/proto/trace/v1/trace.proto and common.proto.
const resourceSpans = 0x0a;
const group = { resource: 0x0a, scopeSpans: 0x12 } as const;
const scoped = { scope: 0x0a, spans: 0x12 } as const;
const scopeTag = { name: 0x0a, version: 0x12 } as const;

/** Encoding does not await, so one writer with its buffer and its names serves every batch. */
const writer = new ProtobufWriter();

/**
 * A batch as an `ExportTraceServiceRequest` of OTLP in protobuf. Halves of characters become U+FFFD; whole numbers that
 * a double holds exactly are `int_value`, all others `double_value`.
 */
export function encodeOtlpProtobuf(batch: SpanBatch): Uint8Array {
  writer.reset();
  for (const { resource, scope, spans } of batch.groups) {
    const start = writer.beginLarge(resourceSpans);
    const resourceStart = writer.beginLarge(group.resource);
    writeAttributes(0x0a, resource);
    writer.endLarge(resourceStart);
    const scopeSpans = writer.beginLarge(group.scopeSpans);
    const scopeStart = writer.begin(scoped.scope);
    if (scope.name !== '') writer.text(scopeTag.name, scope.name);
    if (scope.version !== undefined && scope.version !== '') writer.text(scopeTag.version, scope.version);
    writer.end(scopeStart);
    for (const span of spans) writeSpan(span);
    writer.endLarge(scopeSpans);
    writer.endLarge(start);
  }
  return writer.finish();
}

function writeSpan(span: Span): void {
  const { parentSpanId, traceState, parentIsRemote, startTimeUnixNano, events, links, dropped } = span;
  const start = writer.begin(scoped.spans);
  writer.hex(0x0a, span.traceId);
  writer.hex(0x12, span.spanId);
  if (traceState !== undefined && traceState !== '') writer.text(0x1a, traceState);
  if (parentSpanId !== undefined) writer.hex(0x22, parentSpanId);
  writer.text(0x2a, span.name);
  writer.unsigned(0x30, kindNumbers[span.kind]);
  writer.fixed64(0x39, startTimeUnixNano);
  writer.fixed64Sum(0x41, startTimeUnixNano, span.durationNano);
  writeAttributes(0x4a, span.attributes);
  if (dropped.attributes > 0) writer.unsigned(0x50, dropped.attributes);
  for (const event of events) {
    const eventStart = writer.begin(0x5a);
    writer.fixed64(0x09, event.timeUnixNano);
    writer.text(0x12, event.name);
    writeAttributes(0x1a, event.attributes);
    writer.end(eventStart);
  }
  if (dropped.events > 0) writer.unsigned(0x60, dropped.events);
  for (const link of links) {
    const linkStart = writer.begin(0x6a);
    writer.hex(0x0a, link.traceId);
    writer.hex(0x12, link.spanId);
    if (link.traceState !== undefined && link.traceState !== '') writer.text(0x1a, link.traceState);
    writeAttributes(0x22, link.attributes);
    writer.end(linkStart);
  }
  if (dropped.links > 0) writer.unsigned(0x70, dropped.links);
  writeStatus(span.status);
  // The remote bits say whether the parent lies in another process, as far as that is known.
  const remote = parentIsRemote === undefined ? 0 : hasIsRemote | (parentIsRemote ? isRemote : 0);
  writer.fixed32(0x85, (span.traceFlags & 0xff) | remote);
  writer.end(start);
}

function writeStatus({ code, message }: Span['status']): void {
  const start = writer.begin(0x7a);
  if (message !== undefined && message !== '') writer.text(0x12, message);
  if (code !== 'unset') writer.unsigned(0x18, statusNumbers[code]);
  writer.end(start);
}

function writeAttributes(tag: number, attributes: SpanAttributes): void {
  for (const key in attributes) {
    if (Object.hasOwn(attributes, key)) writer.attribute(tag, key, attributes[key]);
  }
}
