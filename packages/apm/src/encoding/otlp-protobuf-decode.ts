import type { Span, SpanAttributeValue, SpanEvent, SpanLink, SpanScope } from '@mnops/core/spi';
import { apmError } from '../codes.js';
import {
  cut,
  type DecodedAttributes,
  type DecodedSpans,
  maxDepth,
  maxEntries,
  type OpenValue,
  SpanCollector,
  spanValueOf,
} from './decoded-spans.js';
import { hasIsRemote, isRemote, kindNames, statusNames } from './otlp-numbers.js';
import { ProtobufReader, wire } from './protobuf-reader.js';

/**
 * Reads an `ExportTraceServiceRequest` of OTLP in protobuf. Unknown fields are ignored; a span that cannot be used is
 * counted, and the others are taken. Spans of one resource share the object.
 *
 * @throws {MnopsError} `MNOPS_APM_SPANS_INVALID` when the bytes are not such a request at all.
 */
export function decodeOtlpProtobuf(bytes: Uint8Array): DecodedSpans {
  const reader = new ProtobufReader(bytes);
  const collector = new SpanCollector();
  each(reader, 1, () => readResourceSpans(reader, collector));
  return collector.decoded;
}

/** Reads every message of one field, and passes over the others. */
function each(reader: ProtobufReader, field: number, read: () => void): void {
  while (reader.next()) {
    if (reader.is(field, wire.bytes)) nested(reader, read);
    else reader.skip();
  }
}

function nested<T>(reader: ProtobufReader, read: () => T): T {
  const outer = reader.enter();
  const result = read();
  reader.leave(outer);
  return result;
}

// Fields may come in any order, so what all spans of a group share is read first.
function readResourceSpans(reader: ProtobufReader, collector: SpanCollector): void {
  const start = reader.position;
  let resource: Span['resource'] = {};
  each(reader, 1, () => {
    const attributes = new AttributeList();
    each(reader, 1, () => attributes.read(reader));
    resource = attributes.decoded.attributes;
  });
  reader.seek(start);
  each(reader, 2, () => {
    const scopeStart = reader.position;
    let scope: SpanScope = { name: '' };
    each(reader, 1, () => {
      scope = readScope(reader);
    });
    reader.seek(scopeStart);
    each(reader, 2, () => collector.take(readSpan(reader, resource, scope)));
  });
}

function readScope(reader: ProtobufReader): SpanScope {
  let name = '';
  let version = '';
  while (reader.next()) {
    if (reader.is(1, wire.bytes)) name = cut(reader.text());
    else if (reader.is(2, wire.bytes)) version = cut(reader.text());
    else reader.skip();
  }
  return version === '' ? { name } : { name, version };
}

/** What a span's fields hold, until all of them are read. */
class OpenSpan {
  traceId: string | undefined = '';
  spanId: string | undefined = '';
  parentSpanId: string | undefined = '';
  traceState = '';
  name = '';
  kind = 0;
  start = 0n;
  end = 0n;
  flags = 1;
  status: Span['status'] = { code: 'unset' };
  readonly attributes = new AttributeList();
  readonly events: SpanEvent[] = [];
  readonly links: SpanLink[] = [];
  droppedAttributes = 0;
  droppedEvents = 0;
  droppedLinks = 0;
}

function readSpan(reader: ProtobufReader, resource: Span['resource'], scope: SpanScope): Span | string {
  const open = new OpenSpan();
  while (reader.next()) {
    if (reader.type === wire.bytes) readPart(reader, open);
    else readNumber(reader, open);
  }
  return spanOf(open, resource, scope);
}

function readPart(reader: ProtobufReader, open: OpenSpan): void {
  switch (reader.field) {
    case 1:
      open.traceId = reader.id(16);
      return;
    case 2:
      open.spanId = reader.id(8);
      return;
    case 3:
      open.traceState = cut(reader.text());
      return;
    case 4:
      open.parentSpanId = reader.id(8);
      return;
    case 5:
      open.name = cut(reader.text());
      return;
    case 9:
      nested(reader, () => open.attributes.read(reader));
      return;
    case 11:
      if (open.events.length < maxEntries) open.events.push(nested(reader, () => readEvent(reader)));
      else {
        reader.skip();
        open.droppedEvents += 1;
      }
      return;
    case 13:
      if (open.links.length < maxEntries) open.links.push(...nested(reader, () => readLink(reader)));
      else {
        reader.skip();
        open.droppedLinks += 1;
      }
      return;
    case 15:
      open.status = nested(reader, () => readStatus(reader));
      return;
    default:
      reader.skip();
  }
}

function readNumber(reader: ProtobufReader, open: OpenSpan): void {
  if (reader.is(6, wire.varint)) open.kind = reader.uint32();
  else if (reader.is(7, wire.fixed64)) open.start = reader.fixed64();
  else if (reader.is(8, wire.fixed64)) open.end = reader.fixed64();
  else if (reader.is(10, wire.varint)) open.droppedAttributes += reader.uint32();
  else if (reader.is(12, wire.varint)) open.droppedEvents += reader.uint32();
  else if (reader.is(14, wire.varint)) open.droppedLinks += reader.uint32();
  else if (reader.is(16, wire.fixed32)) open.flags = reader.fixed32();
  else reader.skip();
}

function spanOf(open: OpenSpan, resource: Span['resource'], scope: SpanScope): Span | string {
  const { traceId, spanId, parentSpanId, traceState, start, end, flags, events } = open;
  if (!traceId || !spanId) return 'traceId or spanId is not valid';
  if (parentSpanId === undefined) return 'parentSpanId is not valid';
  const own = open.attributes.decoded;
  return {
    traceId,
    spanId,
    ...(parentSpanId === '' ? {} : { parentSpanId }),
    ...((flags & hasIsRemote) === 0 ? {} : { parentIsRemote: (flags & isRemote) !== 0 }),
    traceFlags: flags & 0xff,
    ...(traceState === '' ? {} : { traceState }),
    name: open.name,
    kind: kindNames[open.kind] ?? 'internal',
    startTimeUnixNano: start,
    // A clock that was set back during the span must not make a negative duration.
    durationNano: end > start ? end - start : 0n,
    status: open.status,
    attributes: own.attributes,
    events,
    links: open.links,
    dropped: {
      attributes: open.droppedAttributes + own.dropped,
      events: open.droppedEvents,
      links: open.droppedLinks,
    },
    resource,
    scope,
  };
}

function readStatus(reader: ProtobufReader): Span['status'] {
  let message = '';
  let code: Span['status']['code'] = 'unset';
  while (reader.next()) {
    if (reader.is(2, wire.bytes)) message = cut(reader.text());
    else if (reader.is(3, wire.varint)) code = statusNames[reader.uint32()] ?? 'unset';
    else reader.skip();
  }
  return message === '' ? { code } : { code, message };
}

function readEvent(reader: ProtobufReader): SpanEvent {
  let name = '';
  let timeUnixNano = 0n;
  const attributes = new AttributeList();
  while (reader.next()) {
    if (reader.is(1, wire.fixed64)) timeUnixNano = reader.fixed64();
    else if (reader.is(2, wire.bytes)) name = cut(reader.text());
    else if (reader.is(3, wire.bytes)) nested(reader, () => attributes.read(reader));
    else reader.skip();
  }
  return { name, timeUnixNano, attributes: attributes.decoded.attributes };
}

function readLink(reader: ProtobufReader): SpanLink[] {
  let traceId: string | undefined;
  let spanId: string | undefined;
  let traceState = '';
  const attributes = new AttributeList();
  while (reader.next()) {
    if (reader.is(1, wire.bytes)) traceId = reader.id(16);
    else if (reader.is(2, wire.bytes)) spanId = reader.id(8);
    else if (reader.is(3, wire.bytes)) traceState = cut(reader.text());
    else if (reader.is(4, wire.bytes)) nested(reader, () => attributes.read(reader));
    else reader.skip();
  }
  if (!traceId || !spanId) return [];
  const state = traceState === '' ? {} : { traceState };
  return [{ traceId, spanId, ...state, attributes: attributes.decoded.attributes }];
}

/** Attributes as they come, up to a bound. */
class AttributeList {
  readonly #entries: [string, SpanAttributeValue][] = [];
  #dropped = 0;

  /** Reads one `KeyValue`. */
  read(reader: ProtobufReader): void {
    if (this.#entries.length >= maxEntries) {
      this.#dropped += 1;
      return;
    }
    const { key, value } = readKeyValue(reader, 0);
    const usable = key === '' ? undefined : spanValueOf(value);
    if (usable === undefined) this.#dropped += 1;
    else this.#entries.push([key, usable]);
  }

  get decoded(): DecodedAttributes {
    // Unlike an assignment, this makes an own property of `__proto__` too.
    return { attributes: Object.fromEntries(this.#entries), dropped: this.#dropped };
  }
}

function readKeyValue(reader: ProtobufReader, depth: number): { key: string; value: OpenValue } {
  let key = '';
  let value: OpenValue;
  while (reader.next()) {
    if (reader.is(1, wire.bytes)) key = cut(reader.text());
    else if (reader.is(2, wire.bytes)) value = nested(reader, () => readValue(reader, depth));
    else reader.skip();
  }
  return { key, value };
}

function readValue(reader: ProtobufReader, depth: number): OpenValue {
  if (depth > maxDepth) {
    throw apmError('MNOPS_APM_SPANS_INVALID', `The body nests values deeper than ${maxDepth} levels.`);
  }
  let value: OpenValue;
  while (reader.next()) {
    if (reader.is(1, wire.bytes)) value = cut(reader.text());
    else if (reader.is(2, wire.varint)) value = reader.bool();
    else if (reader.is(3, wire.varint)) value = reader.int64();
    else if (reader.is(4, wire.fixed64)) value = reader.double();
    else if (reader.is(5, wire.bytes)) value = nested(reader, () => readList(reader, depth + 1));
    else if (reader.is(6, wire.bytes)) value = nested(reader, () => readMap(reader, depth + 1));
    else if (reader.is(7, wire.bytes)) value = cut(reader.base64());
    else reader.skip();
  }
  return value;
}

function readList(reader: ProtobufReader, depth: number): readonly OpenValue[] {
  const list: OpenValue[] = [];
  each(reader, 1, () => {
    if (list.length < maxEntries) list.push(readValue(reader, depth));
  });
  return list;
}

function readMap(reader: ProtobufReader, depth: number): ReadonlyMap<string, OpenValue> {
  const map = new Map<string, OpenValue>();
  each(reader, 1, () => {
    if (map.size >= maxEntries) return;
    const { key, value } = readKeyValue(reader, depth);
    map.set(key, value);
  });
  return map;
}
