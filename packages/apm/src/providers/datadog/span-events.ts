import type { SpanAttributeValue, SpanEvent } from '@mnops/core/spi';
import type { MessagePackWriter } from '../../encoding/msgpack-writer.js';
import { cut, wellFormed } from '../../encoding/plain-text.js';
import { maxKey, maxValue } from './span-tags.js';

// Kinds of an event's attribute (datadog-agent, pkg/proto/datadog/trace/span.proto, AttributeAnyValue).
const kinds = { string: 0, boolean: 1, integer: 2, double: 3, list: 4 } as const;
const largestInteger = 2 ** 63;

/** Events in the form that agents read which say `span_events`. Numbers that are none are left out. */
export function writeSpanEvents(writer: MessagePackWriter, events: readonly SpanEvent[]): void {
  writer.list(events.length);
  for (const { name, timeUnixNano, attributes } of events) {
    const facts = Object.entries(attributes).filter(([, value]) => isWritten(value));
    writer.map(facts.length === 0 ? 2 : 3);
    writer.text('time_unix_nano');
    writer.unsigned64(timeUnixNano);
    writer.text('name');
    writer.text(cut(wellFormed(name), maxValue));
    if (facts.length === 0) continue;
    writer.text('attributes');
    writer.map(facts.length);
    for (const [key, value] of facts) {
      writer.text(cut(wellFormed(key), maxKey));
      writeValue(writer, value);
    }
  }
}

function writeValue(writer: MessagePackWriter, value: SpanAttributeValue): void {
  if (typeof value !== 'object') {
    writeScalar(writer, value);
    return;
  }
  const items = value.filter((item): item is string | number | boolean => item !== null && isWritten(item));
  head(writer, kinds.list, 'array_value');
  writer.map(1);
  writer.text('values');
  writer.list(items.length);
  for (const item of items) writeScalar(writer, item);
}

function writeScalar(writer: MessagePackWriter, value: string | number | boolean): void {
  if (typeof value === 'string') {
    head(writer, kinds.string, 'string_value');
    writer.text(cut(wellFormed(value), maxValue));
  } else if (typeof value === 'boolean') {
    head(writer, kinds.boolean, 'bool_value');
    writer.flag(value);
  } else if (Number.isInteger(value) && Math.abs(value) < largestInteger) {
    head(writer, kinds.integer, 'int_value');
    writer.signed64(BigInt(value));
  } else {
    head(writer, kinds.double, 'double_value');
    writer.float64(value);
  }
}

function head(writer: MessagePackWriter, kind: number, key: string): void {
  writer.map(2);
  writer.text('type');
  writer.small(kind);
  writer.text(key);
}

function isWritten(value: SpanAttributeValue): boolean {
  return typeof value !== 'number' || Number.isFinite(value);
}
