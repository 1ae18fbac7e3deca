import { promisify } from 'node:util';
import { deflateRaw, inflateRaw } from 'node:zlib';
import type { Span, SpanAttributes, SpanScope } from '@mnops/core/spi';
import type { HeldTrace } from '../store/trace-ring.js';
import { plainSpan } from '../tracing/recorded-span.js';

/** What can be said of a record without unpacking it. */
export interface TraceRecordHead {
  readonly anyError: boolean;
  /** Epoch milliseconds of the earliest and the latest start. */
  readonly minStartMs: number;
  readonly maxStartMs: number;
  readonly traceIds: readonly string[];
}

const codecVersion = 1;
const headBytes = 20;
/** An honest record is a few hundred kilobytes; one trace may have ten thousand spans. */
const maxUnpackedBytes = 268_435_456;
const deflate = promisify(deflateRaw);
const inflate = promisify(inflateRaw) as (bytes: Uint8Array, options: { maxOutputLength: number }) => Promise<Buffer>;

type Packed = Omit<Span, 'traceId' | 'resource' | 'scope' | 'startTimeUnixNano' | 'durationNano'> & {
  readonly resource: number;
  readonly scope: number;
  readonly startTimeUnixNano: string;
  readonly durationNano: string;
};

interface Body {
  readonly resources: readonly SpanAttributes[];
  readonly scopes: readonly SpanScope[];
  readonly traces: readonly (Omit<HeldTrace, 'spans'> & { readonly spans: readonly Packed[] })[];
}

/** Packs some traces into one record; the layout is in `docs/formats/apm-traces.md`. */
export async function packTraces(traces: readonly HeldTrace[]): Promise<Buffer> {
  const head = Buffer.alloc(headBytes + 16 * traces.length);
  const starts = traces.map(({ startMs }) => startMs);
  head[0] = codecVersion;
  head[1] = traces.some(({ hasError }) => hasError) ? 1 : 0;
  head.writeUInt16BE(traces.length, 2);
  head.writeDoubleBE(Math.min(...starts), 4);
  head.writeDoubleBE(Math.max(...starts), 12);
  traces.forEach(({ traceId }, index) => {
    head.write(traceId, headBytes + 16 * index, 'hex');
  });
  return Buffer.concat([head, await deflate(bodyOf(traces), { level: 1 })]);
}

/** @returns `undefined` for bytes that are no record of traces. */
export function readHead(bytes: Uint8Array): TraceRecordHead | undefined {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  if (buffer.length < headBytes || buffer[0] !== codecVersion) return undefined;
  const count = buffer.readUInt16BE(2);
  if (buffer.length < headBytes + 16 * count) return undefined;
  return {
    anyError: buffer[1] === 1,
    minStartMs: buffer.readDoubleBE(4),
    maxStartMs: buffer.readDoubleBE(12),
    traceIds: Array.from({ length: count }, (_, index) =>
      buffer.toString('hex', headBytes + 16 * index, headBytes + 16 * (index + 1)),
    ),
  };
}

/** The traces of a record. @throws When the bytes are not what `packTraces` made. */
export async function unpackTraces(bytes: Uint8Array): Promise<HeldTrace[]> {
  const head = readHead(bytes);
  if (head === undefined) throw new RangeError('not a record of traces');
  const body = bytes.subarray(headBytes + 16 * head.traceIds.length);
  const text = (await inflate(body, { maxOutputLength: maxUnpackedBytes })).toString('utf8');
  const { resources, scopes, traces } = JSON.parse(text, revive) as Body;
  const unpacked = traces.map((trace) => ({
    ...trace,
    spans: trace.spans.map((span) => ({
      ...span,
      traceId: trace.traceId,
      startTimeUnixNano: BigInt(span.startTimeUnixNano),
      durationNano: BigInt(span.durationNano),
      events: span.events.map((event) => ({ ...event, timeUnixNano: BigInt(event.timeUnixNano) })),
      resource: resources[span.resource] as SpanAttributes,
      scope: scopes[span.scope] as SpanScope,
    })),
  }));
  if (!unpacked.every(isTrace)) throw new RangeError('not a record of traces');
  return unpacked;
}

/** Whether whatever reads traces can read this one: a whole record may come from another program or another version. */
function isTrace({ traceId, startMs, endMs, hasError, cut, spans }: HeldTrace): boolean {
  return (
    /^[0-9a-f]{32}$/.test(traceId) &&
    Number.isFinite(startMs) &&
    Number.isFinite(endMs) &&
    Number.isFinite(cut) &&
    typeof hasError === 'boolean' &&
    spans.every(isSpan)
  );
}

function isSpan({
  spanId,
  parentSpanId,
  name,
  kind,
  status,
  attributes,
  resource,
  scope,
  events,
  links,
}: Span): boolean {
  const texts = [spanId, parentSpanId ?? '', name, kind, status.code, scope.name];
  const records = [attributes, resource, scope, ...events.map((event) => event.attributes), ...links];
  return texts.every((text) => typeof text === 'string') && records.every(isRecord);
}

function isRecord(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The JSON text, in which resources and scopes, that most spans share, stand once. */
function bodyOf(traces: readonly HeldTrace[]): string {
  const resources = new Map<SpanAttributes, number>();
  const scopes = new Map<string, { readonly at: number; readonly scope: SpanScope }>();
  const resourceAt = (resource: SpanAttributes): number => {
    const at = resources.get(resource) ?? resources.size;
    resources.set(resource, at);
    return at;
  };
  const scopeAt = (scope: SpanScope): number => {
    const key = `${scope.name}\0${scope.version ?? ''}`;
    const known = scopes.get(key) ?? { at: scopes.size, scope };
    scopes.set(key, known);
    return known.at;
  };
  const packed = traces.map(({ traceId, startMs, endMs, hasError, cut, spans }) => ({
    traceId,
    startMs,
    endMs,
    hasError,
    cut,
    spans: spans.map((span) => {
      const { traceId: _, resource, scope, ...rest } = plainSpan(span);
      return { ...rest, resource: resourceAt(resource), scope: scopeAt(scope) };
    }),
  }));
  const body = {
    resources: [...resources.keys()],
    scopes: [...scopes.values()].map(({ scope }) => scope),
    traces: packed,
  };
  return JSON.stringify(body, plain);
}

/** What JSON has no words for: nanoseconds become texts, numbers without a value objects that no attribute can be. */
function plain(_: string, value: unknown): unknown {
  if (typeof value === 'bigint') return value.toString();
  if (typeof value === 'number' && !Number.isFinite(value)) return { number: String(value) };
  return value;
}

function revive(_: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, 'number')) return value;
  const keys = Object.keys(value);
  const text = (value as { number: unknown }).number;
  return keys.length === 1 && typeof text === 'string' && /^(NaN|-?Infinity)$/.test(text) ? Number(text) : value;
}
