import type { Span, SpanAttributes, SpanBatch } from '@mnops/core/spi';
import { hasIsRemote, isRemote, kindNumbers, statusNumbers } from './otlp-numbers.js';

/** Names and values made from data must not pile up: a full table of names begins anew, one of values stays as it is. */
const maxNames = 1_024;
const maxValues = 64;
const maxCharacters = 128;

/** What is known of one name of attributes: most values of a service are few and come again and again. */
interface KnownName {
  /** `{"key":"…","value":` */
  readonly before: string;
  /** Whole attributes by value. */
  readonly attributes: Map<unknown, string>;
}
const names = new Map<string, KnownName>();

/** Anything but what JSON writes as it is: quotes, backslashes, control characters and (halves of) large characters. */
const special = /[^ !#-[\]-\ud7ff\ue000-\uffff]/;
const half = /\p{Surrogate}/gu;

/** Room that is kept between batches; more is given back. */
const maxKept = 4 * 1_048_576;
/** One for the process: encoding never waits, and the buffer is warm. */
const output = { bytes: Buffer.allocUnsafeSlow(65_536), position: 0 };

/**
 * A batch as an `ExportTraceServiceRequest` in the JSON encoding of OTLP, in UTF-8: camelCase names, hexadecimal ids,
 * 64-bit numbers as text.
 */
export function otlpJsonBytes(batch: SpanBatch): Uint8Array<ArrayBuffer> {
  output.position = 0;
  let before = '{"resourceSpans":[';
  for (const { resource, scope, spans } of batch.groups) {
    const version = scope.version === undefined ? '' : `,"version":${quoted(scope.version)}`;
    write(
      `${before}{"resource":{"attributes":[${keyValues(resource)}]},"scopeSpans":[{"scope":{"name":${quoted(scope.name)}${version}},"spans":[`,
    );
    for (let i = 0; i < spans.length; i += 1) write((i === 0 ? '' : ',') + spanJson(spans[i] as Span));
    before = ']}]},';
  }
  write(batch.groups.length === 0 ? `${before}]}` : ']}]}]}');
  const { bytes, position } = output;
  const result = new Uint8Array(position);
  result.set(bytes.subarray(0, position));
  if (bytes.length > maxKept) output.bytes = Buffer.allocUnsafeSlow(65_536);
  return result;
}

/** Writes one span at a time: a text that is put together from all of them costs more than all else when it is read. */
function write(json: string): void {
  const { bytes, position } = output;
  const needed = position + json.length * 3;
  if (needed > bytes.length) {
    output.bytes = Buffer.allocUnsafeSlow(Math.max(needed, bytes.length * 2));
    bytes.copy(output.bytes, 0, 0, position);
  }
  output.position += output.bytes.write(json, position, 'utf8');
}

function spanJson(span: Span): string {
  const { parentSpanId, parentIsRemote, traceState, status, dropped, events, links } = span;
  const state = traceState === undefined ? '' : `,"traceState":${quoted(traceState)}`;
  const parent = parentSpanId === undefined ? '' : `,"parentSpanId":${quoted(parentSpanId)}`;
  // The remote bits say whether the parent lies in another process, as far as that is known.
  const remote = parentIsRemote === undefined ? 0 : hasIsRemote | (parentIsRemote ? isRemote : 0);
  const message = status.message === undefined ? '' : `,"message":${quoted(status.message)}`;
  const head = `{"traceId":${quoted(span.traceId)},"spanId":${quoted(span.spanId)}${state}${parent},"flags":${(span.traceFlags & 0xff) | remote},"name":${quoted(span.name)},"kind":${kindNumbers[span.kind]}`;
  const times = `,"startTimeUnixNano":"${decimal(span.startTimeUnixNano, 0n)}","endTimeUnixNano":"${decimal(span.startTimeUnixNano, span.durationNano)}"`;
  const attributes = `,"attributes":[${keyValues(span.attributes)}],"droppedAttributesCount":${dropped.attributes}`;
  const more = `,"events":[${events.length === 0 ? '' : events.map(eventJson).join()}],"droppedEventsCount":${dropped.events},"links":[${links.length === 0 ? '' : links.map(linkJson).join()}],"droppedLinksCount":${dropped.links}`;
  return `${head}${times}${attributes}${more},"status":{"code":${statusNumbers[status.code]}${message}}}`;
}

function eventJson({ name, timeUnixNano, attributes }: Span['events'][number]): string {
  return `{"timeUnixNano":"${decimal(timeUnixNano, 0n)}","name":${quoted(name)},"attributes":[${keyValues(attributes)}]}`;
}

function linkJson({ traceId, spanId, traceState, attributes }: Span['links'][number]): string {
  const state = traceState === undefined ? '' : `,"traceState":${quoted(traceState)}`;
  return `{"traceId":${quoted(traceId)},"spanId":${quoted(spanId)}${state},"attributes":[${keyValues(attributes)}]}`;
}

function keyValues(attributes: SpanAttributes): string {
  let json = '';
  for (const key in attributes) {
    if (!Object.hasOwn(attributes, key)) continue;
    const one = keyValue(key, attributes[key]);
    if (one !== '') json += json === '' ? one : `,${one}`;
  }
  return json;
}

/** A `KeyValue`; empty when the value is none that a span may hold. */
function keyValue(key: string, value: unknown): string {
  const name = names.get(key) ?? nameOf(key);
  const known = name.attributes.get(value);
  if (known !== undefined) return known;
  const encoded = anyValue(value);
  if (encoded === '') return '';
  const json = `${name.before}${encoded}}`;
  if (name.attributes.size < maxValues && typeof value !== 'object' && json.length <= maxCharacters) {
    name.attributes.set(value, json);
  }
  return json;
}

function nameOf(key: string): KnownName {
  const name = { before: `{"key":${quoted(key)},"value":`, attributes: new Map<unknown, string>() };
  if (key.length <= maxCharacters) {
    if (names.size >= maxNames) names.clear();
    names.set(key, name);
  }
  return name;
}

/** An `AnyValue`; empty when the value is none that a span may hold. */
function anyValue(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return `{"stringValue":${quoted(value)}}`;
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

function quoted(text: string): string {
  return isPlain(text) ? `"${text}"` : JSON.stringify(text.replace(half, '\ufffd'));
}

/** Whether JSON writes a text as it is. A loop costs less than an expression where the text is short. */
function isPlain(text: string): boolean {
  if (text.length > 64) return !special.test(text);
  for (let i = 0; i < text.length; i += 1) {
    const code = text.charCodeAt(i);
    if (code < 0x20 || code === 0x22 || code === 0x5c || code > 0x7e) return false;
  }
  return true;
}

const asBigint = new BigUint64Array(2);
const asHalfWords = new Uint16Array(asBigint.buffer);
/** Positions of the four parts of a 64-bit number, the upper one first. */
const places = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1 ? [3, 2, 1, 0] : [0, 1, 2, 3];
/** The seconds that were written last: spans of one batch share theirs. */
const last = { seconds: 0, text: '' };

/** The digits of the sum of two numbers of up to 64 bits: a bigint's own conversion is several times as slow. */
function decimal(value: bigint, more: bigint): string {
  asBigint[0] = value;
  asBigint[1] = more;
  // Long division by 10^9 in steps that doubles do exactly.
  let seconds = 0;
  let nanos = 0;
  for (let i = 0; i < 4; i += 1) {
    const place = places[i] as number;
    const part = nanos * 0x1_0000 + (asHalfWords[place] as number) + (asHalfWords[place + 4] as number);
    const quotient = Math.floor(part / 1e9);
    nanos = part - quotient * 1e9;
    seconds = seconds * 0x1_0000 + quotient;
  }
  if (seconds === 0) return String(nanos);
  if (seconds !== last.seconds) {
    last.seconds = seconds;
    last.text = String(seconds);
  }
  return last.text + String(1e9 + nanos).slice(1);
}
