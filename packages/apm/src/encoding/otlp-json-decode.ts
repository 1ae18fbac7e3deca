import type { JsonValue, Span, SpanAttributeValue, SpanEvent, SpanLink } from '@mnops/core/spi';
import { apmError } from '../codes.js';
import {
  cut,
  type DecodedAttributes,
  type DecodedSpans,
  maxEntries,
  type OpenValue,
  SpanCollector,
  spanValueOf,
} from './decoded-spans.js';
import { hasIsRemote, isRemote, kindNames, statusNames } from './otlp-numbers.js';

type Fields = Readonly<Record<string, JsonValue | undefined>>;

/**
 * Reads an `ExportTraceServiceRequest` in the JSON encoding of OTLP, parsed already. Unknown fields are ignored; a span
 * that cannot be used is counted, and the others are taken.
 *
 * @throws {MnopsError} `MNOPS_APM_SPANS_INVALID` when the value is not such a request at all.
 */
export function spansOfOtlpJson(request: JsonValue): DecodedSpans {
  if (!isFields(request)) throw apmError('MNOPS_APM_SPANS_INVALID', 'The body is not a JSON object.');
  const collector = new SpanCollector();
  for (const resourceSpans of list(request['resourceSpans'], 'resourceSpans')) {
    const { resource: given, scopeSpans } = fields(resourceSpans);
    const resource = attributesOf(fields(given)['attributes']).attributes;
    for (const group of list(scopeSpans, 'scopeSpans')) {
      const { scope: scopeFields, spans: members } = fields(group);
      const scope = scopeOf(fields(scopeFields));
      for (const member of list(members, 'spans')) collector.take(spanOf(fields(member), resource, scope));
    }
  }
  return collector.decoded;
}

function list(value: JsonValue | undefined, name: string): readonly JsonValue[] {
  if (value === undefined || value === null) return [];
  if (Array.isArray(value)) return value as readonly JsonValue[];
  throw apmError('MNOPS_APM_SPANS_INVALID', `The field ${name} is not a list.`);
}

/** The span, or why it is none. */
function spanOf(from: Fields, resource: Span['resource'], scope: Span['scope']): Span | string {
  const traceId = idOf(from['traceId'], 32);
  const spanId = idOf(from['spanId'], 16);
  if (traceId === undefined || spanId === undefined) return 'traceId or spanId is not valid';
  const parentText = from['parentSpanId'] ?? '';
  const parentSpanId = parentText === '' ? undefined : idOf(parentText, 16);
  if (parentText !== '' && parentSpanId === undefined) return 'parentSpanId is not valid';
  const start = nanosOf(from['startTimeUnixNano']);
  const end = nanosOf(from['endTimeUnixNano']);
  if (start === undefined || end === undefined) return 'a time is not valid';
  const flags = integerOf(from['flags']) ?? 1;
  const events = items(from['events']);
  const links = items(from['links']);
  const own = attributesOf(from['attributes']);
  const state = from['traceState'];
  const count = (name: string): number => Math.max(0, integerOf(from[name]) ?? 0);
  return {
    traceId,
    spanId,
    ...(parentSpanId === undefined ? {} : { parentSpanId }),
    ...((flags & hasIsRemote) === 0 ? {} : { parentIsRemote: (flags & isRemote) !== 0 }),
    traceFlags: flags & 0xff,
    ...(typeof state === 'string' && state !== '' ? { traceState: cut(state) } : {}),
    name: textOf(from['name']),
    kind: kindNames[integerOf(from['kind']) ?? 0] ?? 'internal',
    startTimeUnixNano: start,
    // A clock that was set back during the span must not make a negative duration.
    durationNano: end > start ? end - start : 0n,
    status: statusOf(fields(from['status'])),
    attributes: own.attributes,
    events: events.kept.map((event) => eventOf(fields(event), start)),
    links: links.kept.flatMap((link) => linkOf(fields(link))),
    dropped: {
      attributes: count('droppedAttributesCount') + own.dropped,
      events: count('droppedEventsCount') + events.dropped,
      links: count('droppedLinksCount') + links.dropped,
    },
    resource,
    scope,
  };
}

function statusOf({ code, message }: Fields): Span['status'] {
  const status = statusNames[integerOf(code) ?? 0] ?? 'unset';
  return typeof message === 'string' && message !== '' ? { code: status, message: cut(message) } : { code: status };
}

function eventOf(from: Fields, start: bigint): SpanEvent {
  return {
    name: textOf(from['name']),
    timeUnixNano: nanosOf(from['timeUnixNano']) ?? start,
    attributes: attributesOf(from['attributes']).attributes,
  };
}

function linkOf(from: Fields): SpanLink[] {
  const traceId = idOf(from['traceId'], 32);
  const spanId = idOf(from['spanId'], 16);
  if (traceId === undefined || spanId === undefined) return [];
  return [{ traceId, spanId, attributes: attributesOf(from['attributes']).attributes }];
}

function scopeOf({ name, version }: Fields): Span['scope'] {
  return typeof version === 'string' && version !== ''
    ? { name: textOf(name), version: cut(version) }
    : { name: textOf(name) };
}

function attributesOf(value: JsonValue | undefined): DecodedAttributes {
  const { kept, dropped } = items(value);
  const entries: [string, SpanAttributeValue][] = [];
  let unusable = 0;
  for (const item of kept) {
    const { key, value: given } = fields(item);
    const read = typeof key === 'string' && key !== '' ? spanValueOf(anyValueOf(fields(given))) : undefined;
    if (read === undefined) unusable += 1;
    else entries.push([cut(key as string), read]);
  }
  // Unlike an assignment, this makes an own property of `__proto__` too.
  return { attributes: Object.fromEntries(entries), dropped: dropped + unusable };
}

function anyValueOf(value: Fields): OpenValue {
  if (typeof value['stringValue'] === 'string') return cut(value['stringValue']);
  if (typeof value['boolValue'] === 'boolean') return value['boolValue'];
  if (value['intValue'] !== undefined) return intOf(value['intValue']);
  if (value['doubleValue'] !== undefined) return doubleOf(value['doubleValue']);
  if (typeof value['bytesValue'] === 'string') return cut(value['bytesValue']);
  if (value['arrayValue'] !== undefined) {
    return items(fields(value['arrayValue'])['values']).kept.map((item) => anyValueOf(fields(item)));
  }
  if (value['kvlistValue'] === undefined) return undefined;
  const { kept } = items(fields(value['kvlistValue'])['values']);
  return new Map(kept.map((item) => [textOf(fields(item)['key']), anyValueOf(fields(fields(item)['value']))]));
}

function intOf(value: JsonValue): number | string | undefined {
  if (typeof value === 'number') return Number.isFinite(value) ? value : undefined;
  if (typeof value !== 'string' || !/^-?\d{1,20}$/.test(value)) return undefined;
  const number = Number(value);
  // A number that a double cannot hold keeps its digits as text.
  return Number.isSafeInteger(number) ? number : value;
}

function doubleOf(value: JsonValue): number | undefined {
  if (typeof value === 'number') return value;
  if (value === 'NaN' || value === 'Infinity' || value === '-Infinity') return Number(value);
  return undefined;
}

function idOf(value: JsonValue | undefined, digits: number): string | undefined {
  if (typeof value !== 'string' || value.length !== digits) return undefined;
  const text = value.toLowerCase();
  return /^[0-9a-f]+$/.test(text) && !/^0+$/.test(text) ? text : undefined;
}

function nanosOf(value: JsonValue | undefined): bigint | undefined {
  if (typeof value === 'number')
    return Number.isInteger(value) && value >= 0 && value < 2 ** 64 ? BigInt(value) : undefined;
  if (typeof value !== 'string' || !/^\d{1,20}$/.test(value)) return undefined;
  const nanos = BigInt(value);
  return nanos <= 0xffff_ffff_ffff_ffffn ? nanos : undefined;
}

function integerOf(value: JsonValue | undefined): number | undefined {
  return typeof value === 'number' && Number.isSafeInteger(value) ? value : undefined;
}

function items(value: JsonValue | undefined): { kept: readonly JsonValue[]; dropped: number } {
  if (!Array.isArray(value)) return { kept: [], dropped: 0 };
  const all = value as readonly JsonValue[];
  return { kept: all.slice(0, maxEntries), dropped: Math.max(0, all.length - maxEntries) };
}

function textOf(value: JsonValue | undefined): string {
  return typeof value === 'string' ? cut(value) : '';
}

function fields(value: JsonValue | undefined): Fields {
  return isFields(value) ? value : {};
}

function isFields(value: JsonValue | undefined): value is { readonly [key: string]: JsonValue } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
