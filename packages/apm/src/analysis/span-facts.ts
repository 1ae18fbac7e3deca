import type { Span, SpanAttributes, SpanKindName } from '@mnops/core/spi';
import { adjustedCountOf, countOfEnded } from '../sampling/adjusted-count.js';
import { spanKinds } from '../span-kinds.js';
import type { ReadableSpanLike } from '../tracing/recorded-span.js';

/** Which program, in which version, deployment and replica, made a span. */
export interface Origin {
  readonly service: string;
  readonly version: string | undefined;
  /** Revision of the deployment, as the resource attribute `mnops.revision` says. */
  readonly revision?: string | undefined;
  readonly instance: string | undefined;
}

/** How two services are joined. */
export type Connection = 'request' | 'messaging' | 'database';

/** The far side of a call as the near side names it. */
export interface Peer {
  readonly name: string;
  readonly connection: Connection;
}

/** What the analysis needs to know of one span. */
export interface SpanFacts {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string | undefined;
  readonly origin: Origin;
  readonly operation: string;
  readonly kind: SpanKindName;
  /** Epoch milliseconds with fractions. */
  readonly endMs: number;
  readonly durationMs: number;
  readonly error: boolean;
  /** How many spans this one stands for. Default 1. */
  readonly count?: number | undefined;
  /** Only of client, producer and consumer spans. */
  readonly peer: Peer | undefined;
}

/** Name that OpenTelemetry gives a program without one. */
const unknownService = 'unknown_service';

/** Who made the spans that carry this resource. */
export function originOf(resource: SpanAttributes): Origin {
  return {
    service: text(resource['service.name']) ?? unknownService,
    version: text(resource['service.version']),
    revision: text(resource['mnops.revision']),
    instance: text(resource['service.instance.id']),
  };
}

/**
 * Name that groups the spans of one kind of work: method and route of an HTTP server span that has a route, else the
 * span's own name. A raw URL is never used.
 */
export function operationOf(span: Pick<Span, 'name' | 'kind' | 'attributes'>): string {
  if (span.kind !== 'server') return span.name;
  const route = text(span.attributes['http.route']);
  if (route === undefined || span.name.includes(route)) return span.name;
  const method = methodOf(span.attributes);
  return method === '' ? route : `${method} ${route}`;
}

/** HTTP method of a span, of the current or the old attribute name; the empty text when there is none. */
export function methodOf(attributes: SpanAttributes): string {
  return text(attributes['http.request.method']) ?? text(attributes['http.method']) ?? '';
}

// OpenTelemetry's order for Zipkin's remote endpoint, current names before old ones.
const peerKeys = [
  'service.peer.name',
  'peer.service',
  'server.address',
  'net.peer.name',
  'network.peer.address',
  'net.sock.peer.name',
  'net.sock.peer.addr',
  'peer.hostname',
  'peer.address',
] as const;
const databaseKeys = ['db.namespace', 'db.name', 'db.system.name', 'db.system'] as const;
const brokerKeys = ['messaging.destination.name', 'messaging.destination', 'messaging.system'] as const;

/** The far side that a client, producer or consumer span names; `undefined` when it names none. */
export function peerOf(span: Pick<Span, 'kind' | 'attributes'>): Peer | undefined {
  const { kind, attributes } = span;
  if (kind === 'producer' || kind === 'consumer') {
    const name = first(attributes, brokerKeys) ?? first(attributes, peerKeys);
    return name === undefined ? undefined : { name, connection: 'messaging' };
  }
  if (kind !== 'client') return undefined;
  const database = first(attributes, databaseKeys);
  if (database !== undefined) {
    const named = text(attributes['service.peer.name']) ?? text(attributes['peer.service']);
    return { name: named ?? database, connection: 'database' };
  }
  const name = first(attributes, peerKeys);
  return name === undefined ? undefined : { name, connection: 'request' };
}

/** OpenTelemetry's number of a failed status. */
const errorStatus = 2;

/** The facts of a span of the SDK, read from it as it is. */
export function factsOfEnded(
  span: ReadableSpanLike,
  origin: Origin,
  endMs: number,
  durationMs: number,
  count: number = countOfEnded(span),
): SpanFacts {
  const { traceId, spanId } = span.spanContext();
  const kind = spanKinds[span.kind] ?? 'internal';
  const named = { name: span.name, kind, attributes: span.attributes as SpanAttributes };
  return {
    traceId,
    spanId,
    parentSpanId: span.parentSpanContext?.spanId,
    origin,
    operation: operationOf(named),
    kind,
    endMs,
    durationMs,
    error: span.status.code === errorStatus,
    count,
    peer: peerOf(named),
  };
}

/** The facts of one span. What the caller knows already is not worked out again. */
export function factsOf(span: Span, origin?: Origin, endMs?: number, durationMs?: number): SpanFacts {
  const duration = durationMs ?? millisecondsOf(span.durationNano);
  return {
    traceId: span.traceId,
    spanId: span.spanId,
    parentSpanId: span.parentSpanId,
    origin: origin ?? originOf(span.resource),
    operation: operationOf(span),
    kind: span.kind,
    endMs: endMs ?? epochMs(span.startTimeUnixNano) + duration,
    durationMs: duration,
    error: span.status.code === 'error',
    count: adjustedCountOf(span),
    peer: peerOf(span),
  };
}

// A whole number of 64 bits and its two halves share memory: calculating with bigint makes an object at every step.
const whole = new BigUint64Array(1);
const halves = new Uint32Array(whole.buffer);
const highHalf = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1 ? 1 : 0;

/**
 * Epoch milliseconds with fractions, as exactly as a double can hold them.
 *
 * @param nanoseconds - Below 2^64, as in every format of spans.
 */
export function epochMs(nanoseconds: bigint): number {
  whole[0] = nanoseconds;
  const high = halves[highHalf] as number;
  // 2^32 nanoseconds are 4_294 ms and 967_296 ns, so all that is added up here stays below 2^53.
  const rest = high * 967_296 + (halves[1 - highHalf] as number);
  const restMs = Math.floor(rest / 1e6);
  return high * 4_294 + restMs + (rest - restMs * 1e6) / 1e6;
}

/** Milliseconds of a time in nanoseconds below 2^64. */
export function millisecondsOf(nanoseconds: bigint): number {
  whole[0] = nanoseconds;
  return ((halves[highHalf] as number) * 0x1_0000_0000 + (halves[1 - highHalf] as number)) / 1e6;
}

function first(attributes: SpanAttributes, keys: readonly string[]): string | undefined {
  for (const key of keys) {
    const value = text(attributes[key]);
    if (value !== undefined) return value;
  }
  return undefined;
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}
