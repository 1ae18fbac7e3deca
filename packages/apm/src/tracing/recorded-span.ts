import type { Span, SpanAttributes, SpanEvent, SpanKindName, SpanLink, SpanScope } from '@mnops/core/spi';
import { spanKinds } from '../span-kinds.js';
import type { IdWords } from './random-ids.js';

/** Seconds and nanoseconds, as OpenTelemetry's SDK keeps time. */
export type SecondsAndNanos = readonly [number, number];

/**
 * A finished span of an OpenTelemetry SDK, 2.x or 3.x, described by the parts that are read; so this package's types do
 * not depend on one version of the SDK.
 */
export interface ReadableSpanLike {
  readonly name: string;
  readonly kind: number;
  spanContext(): {
    readonly traceId: string;
    readonly spanId: string;
    readonly traceFlags: number;
    readonly traceState?: { serialize(): string; get?(key: string): string | undefined } | undefined;
  };
  readonly parentSpanContext?: { readonly spanId: string; readonly isRemote?: boolean | undefined } | undefined;
  readonly startTime: SecondsAndNanos;
  readonly duration: SecondsAndNanos;
  readonly status: { readonly code: number; readonly message?: string | undefined };
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly events: readonly {
    readonly name: string;
    readonly time: SecondsAndNanos;
    readonly attributes?: Readonly<Record<string, unknown>> | undefined;
  }[];
  readonly links: readonly {
    readonly context: {
      readonly traceId: string;
      readonly spanId: string;
      readonly traceState?: { serialize(): string } | undefined;
    };
    readonly attributes?: Readonly<Record<string, unknown>> | undefined;
  }[];
  readonly resource: { readonly attributes: Readonly<Record<string, unknown>> };
  readonly instrumentationScope: { readonly name: string; readonly version?: string | undefined };
  readonly droppedAttributesCount?: number | undefined;
  readonly droppedEventsCount?: number | undefined;
  readonly droppedLinksCount?: number | undefined;
  /** The ids as numbers, of spans that began here. */
  readonly idWords?: IdWords | undefined;
}

const statusCodes = ['unset', 'ok', 'error'] as const;
const unsetStatus: Span['status'] = Object.freeze({ code: 'unset' });
/** The statuses without a message, by OpenTelemetry's number; most spans share one. */
const plainStatuses: readonly Span['status'][] = [
  unsetStatus,
  Object.freeze({ code: 'ok' }),
  Object.freeze({ code: 'error' }),
];

const noneDropped = Object.freeze({ attributes: 0, events: 0, links: 0 });
const noEvents: readonly SpanEvent[] = Object.freeze([]);
const noLinks: readonly SpanLink[] = Object.freeze([]);

/**
 * A span of the SDK in few words: thousands of finished spans are kept, and the SDK's own are several times as large.
 *
 * Nothing that most readers do not need is converted before it is asked for, because the end of a span is on the path of
 * the user's request.
 */
export class RecordedSpan implements Span {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string | undefined;
  readonly parentIsRemote: boolean | undefined;
  readonly traceFlags: number;
  readonly name: string;
  readonly kind: SpanKindName;
  readonly status: Span['status'];
  readonly attributes: SpanAttributes;
  readonly resource: SpanAttributes;
  readonly dropped: Span['dropped'];
  readonly #startSeconds: number;
  readonly #startNanos: number;
  readonly #seconds: number;
  readonly #nanos: number;
  readonly #traceState: { serialize(): string } | undefined;
  readonly #scope: ReadableSpanLike['instrumentationScope'];
  readonly #events: ReadableSpanLike['events'] | undefined;
  readonly #links: ReadableSpanLike['links'] | undefined;

  constructor(span: ReadableSpanLike, resource: SpanAttributes) {
    const context = span.spanContext();
    const { parentSpanContext: parent, startTime, duration, status, events, links } = span;
    this.traceId = context.traceId;
    this.spanId = context.spanId;
    this.parentSpanId = parent?.spanId;
    this.parentIsRemote = parent?.isRemote;
    this.traceFlags = context.traceFlags;
    this.name = span.name;
    this.kind = spanKinds[span.kind] ?? 'internal';
    this.status = status.message === undefined ? (plainStatuses[status.code] ?? unsetStatus) : statusOf(status);
    this.attributes = span.attributes as SpanAttributes;
    this.resource = resource;
    this.dropped = droppedOf(span);
    this.#startSeconds = startTime[0];
    this.#startNanos = startTime[1];
    this.#seconds = duration[0];
    this.#nanos = duration[1];
    this.#traceState = context.traceState;
    this.#scope = span.instrumentationScope;
    this.#events = events.length === 0 ? undefined : events;
    this.#links = links.length === 0 ? undefined : links;
  }

  get traceState(): string | undefined {
    return this.#traceState?.serialize();
  }
  get startTimeUnixNano(): bigint {
    return nanoseconds([this.#startSeconds, this.#startNanos]);
  }
  get durationNano(): bigint {
    return nanoseconds([this.#seconds, this.#nanos]);
  }
  get events(): readonly SpanEvent[] {
    if (this.#events === undefined) return noEvents;
    return this.#events.map(({ name, time, attributes = {} }) => ({
      name,
      timeUnixNano: nanoseconds(time),
      attributes: attributes as SpanAttributes,
    }));
  }
  get links(): readonly SpanLink[] {
    if (this.#links === undefined) return noLinks;
    return this.#links.map(({ context, attributes = {} }) => ({
      traceId: context.traceId,
      spanId: context.spanId,
      traceState: context.traceState?.serialize(),
      attributes: attributes as SpanAttributes,
    }));
  }
  get scope(): SpanScope {
    const { name, version } = this.#scope;
    return version === undefined || version === '' ? { name } : { name, version };
  }
}

function statusOf({ code, message }: ReadableSpanLike['status']): Span['status'] {
  return { code: statusCodes[code] ?? 'unset', message };
}

function droppedOf(span: ReadableSpanLike): Span['dropped'] {
  const { droppedAttributesCount = 0, droppedEventsCount = 0, droppedLinksCount = 0 } = span;
  if (droppedAttributesCount + droppedEventsCount + droppedLinksCount === 0) return noneDropped;
  return { attributes: droppedAttributesCount, events: droppedEventsCount, links: droppedLinksCount };
}

/** The span as a plain object that can be copied, compared and written as it is. */
export function plainSpan(span: Span): Span {
  const { parentSpanId, parentIsRemote, traceState } = span;
  return {
    traceId: span.traceId,
    spanId: span.spanId,
    ...(parentSpanId === undefined ? {} : { parentSpanId }),
    ...(parentIsRemote === undefined ? {} : { parentIsRemote }),
    traceFlags: span.traceFlags,
    ...(traceState === undefined ? {} : { traceState }),
    name: span.name,
    kind: span.kind,
    startTimeUnixNano: span.startTimeUnixNano,
    durationNano: span.durationNano,
    status: { ...span.status },
    attributes: span.attributes,
    events: span.events,
    links: span.links,
    dropped: { ...span.dropped },
    resource: span.resource,
    scope: span.scope,
  };
}

/** Exact nanoseconds; seconds times a billion would exceed what a number can hold. */
function nanoseconds([seconds, nanos]: SecondsAndNanos): bigint {
  return BigInt(Math.trunc(seconds)) * 1_000_000_000n + BigInt(Math.trunc(nanos));
}
