import type { Span, SpanAttributes, SpanBatch } from '@mnops/core/spi';
import { JsonWriter, jsonText, type ReadyText } from './json-writer.js';
import { hasIsRemote, isRemote, kindNumbers, statusNumbers } from './otlp-numbers.js';

/** Names and values made from data must not pile up: full tables begin anew, but one name's values stay as they are. */
const maxNames = 1_024;
const maxValues = 64;
const maxCharacters = 128;

/** What is known of one name of attributes: most values of a service are few and come again and again. */
interface KnownName {
  /** `{"key":"…","value":` */
  readonly before: string;
  /** The same with what texts and integers begin with; ready where there was room. */
  readonly text: ReadyText | undefined;
  readonly integer: ReadyText | undefined;
  /** Whole attributes by value, with a comma behind them. */
  readonly attributes: Map<unknown, ReadyText>;
}
const names = new Map<string, KnownName>();

/** Encoding does not await, so one writer with its buffer and its texts serves every batch. */
const writer = new JsonWriter();
const parts = {
  trace: text('{"traceId":'),
  span: text(',"spanId":'),
  state: text(',"traceState":'),
  parent: text(',"parentSpanId":'),
  flags: text(',"flags":'),
  name: text(',"name":'),
  start: textsBy(kindNumbers, (number) => `,"kind":${number},"startTimeUnixNano":"`),
  end: text('","endTimeUnixNano":"'),
  endAttributes: text('","attributes":['),
  attributes: text(',"attributes":['),
  droppedAttributes: text('],"droppedAttributesCount":'),
  events: text(',"events":['),
  noneDropped: text('],"droppedAttributesCount":0,"events":['),
  droppedEvents: text('],"droppedEventsCount":'),
  links: text(',"links":['),
  droppedLinks: text('],"droppedLinksCount":'),
  status: text(',"status":{"code":'),
  message: text(',"message":'),
  /** All behind the events of a span without links, with nothing dropped and no message. */
  plainEnd: textsBy(
    statusNumbers,
    (number) => `],"droppedEventsCount":0,"links":[],"droppedLinksCount":0,"status":{"code":${number}}}`,
  ),
  close: text('}}'),
  eventTime: text('{"timeUnixNano":"'),
  eventName: text('","name":'),
  closeList: text(']}'),
  closeInteger: text('"}},'),
};
const fixedBytes = writer.readyBytes;
const comma = 0x2c;
const beforeText = '{"stringValue":';
const beforeInteger = '{"intValue":"';

function text(value: string): ReadyText {
  return writer.addText(value) as ReadyText;
}

function textsBy<K extends string>(
  numbers: Readonly<Record<K, number>>,
  textOf: (number: number) => string,
): Readonly<Record<K, ReadyText>> {
  const entries = Object.entries<number>(numbers).map(([name, number]) => [name, text(textOf(number))] as const);
  return Object.fromEntries(entries) as Record<K, ReadyText>;
}

/**
 * A batch as an `ExportTraceServiceRequest` in the JSON encoding of OTLP, in UTF-8: camelCase names, hexadecimal ids,
 * 64-bit numbers as text.
 */
export function otlpJsonBytes(batch: SpanBatch): Uint8Array<ArrayBuffer> {
  writer.reset();
  writer.plain('{"resourceSpans":[');
  let before = '';
  for (const { resource, scope, spans } of batch.groups) {
    writer.plain(`${before}{"resource":{"attributes":[`);
    writeAttributes(resource);
    writer.plain(`]},"scopeSpans":[{"scope":{"name":${jsonText(scope.name)}`);
    if (scope.version !== undefined) writer.plain(`,"version":${jsonText(scope.version)}`);
    writer.plain('},"spans":[');
    for (let i = 0; i < spans.length; i += 1) {
      if (i > 0) writer.character(comma);
      writeSpan(spans[i] as Span);
    }
    writer.plain(']}]}');
    before = ',';
  }
  writer.plain(']}');
  return writer.finish();
}

function writeSpan(span: Span): void {
  const { parentSpanId, parentIsRemote, startTimeUnixNano, status, dropped, events, links } = span;
  writeIds(span);
  if (parentSpanId !== undefined) {
    writer.ready(parts.parent);
    writer.quoted(parentSpanId);
  }
  // The remote bits say whether the parent lies in another process, as far as that is known.
  const remote = parentIsRemote === undefined ? 0 : hasIsRemote | (parentIsRemote ? isRemote : 0);
  writer.ready(parts.flags);
  writer.number((span.traceFlags & 0xff) | remote);
  writer.ready(parts.name);
  writer.quoted(span.name);
  writer.ready(parts.start[span.kind]);
  writer.sum(startTimeUnixNano, 0n);
  writer.ready(parts.end);
  writer.sum(startTimeUnixNano, span.durationNano);
  writer.ready(parts.endAttributes);
  writeAttributes(span.attributes);
  if (dropped.attributes === 0) writer.ready(parts.noneDropped);
  else {
    writer.ready(parts.droppedAttributes);
    writer.number(dropped.attributes);
    writer.ready(parts.events);
  }
  for (let i = 0; i < events.length; i += 1) {
    if (i > 0) writer.character(comma);
    writeEvent(events[i] as Span['events'][number]);
  }
  if (dropped.events === 0 && dropped.links === 0 && links.length === 0 && status.message === undefined) {
    writer.ready(parts.plainEnd[status.code]);
  } else writeEnd(span);
}

/** Writes all that is behind the last event. */
function writeEnd({ dropped, links, status }: Span): void {
  writer.ready(parts.droppedEvents);
  writer.number(dropped.events);
  writer.ready(parts.links);
  for (let i = 0; i < links.length; i += 1) {
    const link = links[i] as Span['links'][number];
    if (i > 0) writer.character(comma);
    writeIds(link);
    writer.ready(parts.attributes);
    writeAttributes(link.attributes);
    writer.ready(parts.closeList);
  }
  writer.ready(parts.droppedLinks);
  writer.number(dropped.links);
  writer.ready(parts.status);
  writer.number(statusNumbers[status.code]);
  if (status.message !== undefined) {
    writer.ready(parts.message);
    writer.quoted(status.message);
  }
  writer.ready(parts.close);
}

function writeIds({ traceId, spanId, traceState }: Pick<Span, 'traceId' | 'spanId' | 'traceState'>): void {
  writer.ready(parts.trace);
  writer.quoted(traceId);
  writer.ready(parts.span);
  writer.quoted(spanId);
  if (traceState !== undefined) {
    writer.ready(parts.state);
    writer.quoted(traceState);
  }
}

function writeEvent({ name, timeUnixNano, attributes }: Span['events'][number]): void {
  writer.ready(parts.eventTime);
  writer.sum(timeUnixNano, 0n);
  writer.ready(parts.eventName);
  writer.quoted(name);
  writer.ready(parts.attributes);
  writeAttributes(attributes);
  writer.ready(parts.closeList);
}

function writeAttributes(attributes: SpanAttributes): void {
  let any = false;
  for (const key in attributes) {
    if (!Object.hasOwn(attributes, key)) continue;
    const value: unknown = attributes[key];
    const name = names.get(key) ?? nameOf(key);
    const known = name.attributes.get(value);
    if (known !== undefined) {
      writer.ready(known);
      any = true;
    } else if (writeAttribute(name, value)) any = true;
  }
  if (any) writer.takeBack();
}

/** Writes a `KeyValue` and a comma. @returns False when the value is none that a span may hold. */
function writeAttribute(name: KnownName, value: unknown): boolean {
  if (typeof value === 'string') {
    if (name.text === undefined) writer.plain(`${name.before}${beforeText}`);
    else writer.ready(name.text);
    writer.quoted(value);
    writer.ready(parts.close);
    writer.character(comma);
  } else if (Number.isSafeInteger(value)) {
    if (name.integer === undefined) writer.plain(`${name.before}${beforeInteger}`);
    else writer.ready(name.integer);
    writer.number(value as number);
    writer.ready(parts.closeInteger);
  } else {
    const encoded = anyValue(value);
    if (encoded === '') return false;
    writer.plain(`${name.before}${encoded}},`);
  }
  return keep(name, value);
}

/** Keeps an attribute ready where it may come again. @returns True. */
function keep(name: KnownName, value: unknown): true {
  if (name.attributes.size >= maxValues || typeof value === 'object') return true;
  const json = `${name.before}${anyValue(value)}},`;
  if (json.length > maxCharacters) return true;
  const ready = writer.addText(json);
  if (ready === undefined) forgetNames();
  else name.attributes.set(value, ready);
  return true;
}

function nameOf(key: string): KnownName {
  const before = `{"key":${jsonText(key)},"value":`;
  const attributes = new Map<unknown, ReadyText>();
  if (key.length > maxCharacters) return { before, text: undefined, integer: undefined, attributes };
  if (names.size >= maxNames) forgetNames();
  const name = {
    before,
    text: writer.addText(`${before}${beforeText}`),
    integer: writer.addText(`${before}${beforeInteger}`),
    attributes,
  };
  names.set(key, name);
  return name;
}

function forgetNames(): void {
  names.clear();
  writer.forgetTexts(fixedBytes);
}

/** An `AnyValue`; empty when the value is none that a span may hold. */
function anyValue(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return `{"stringValue":${jsonText(value)}}`;
    case 'boolean':
      return value ? '{"boolValue":true}' : '{"boolValue":false}';
    case 'number':
      if (Number.isSafeInteger(value)) return `{"intValue":"${value}"}`;
      // JSON has no such numbers; protobuf's JSON form writes them as text.
      return Number.isFinite(value) ? `{"doubleValue":${value}}` : `{"doubleValue":"${value}"}`;
    default: {
      if (!Array.isArray(value)) return '';
      // Lists within lists are none of OpenTelemetry's values.
      const items = (value as readonly unknown[]).map((item) => (Array.isArray(item) ? '{}' : anyValue(item) || '{}'));
      return `{"arrayValue":{"values":[${items.join()}]}}`;
    }
  }
}
