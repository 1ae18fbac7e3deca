import type { Span, SpanAttributes, SpanEvent, SpanKindName, SpanLink, SpanScope } from '@mnops/core/spi';

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
    readonly traceState?: { serialize(): string } | undefined;
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
}

/** Names of OpenTelemetry's span kinds by number. */
export const kindNames: readonly SpanKindName[] = ['internal', 'server', 'client', 'producer', 'consumer'];
const statusCodes = ['unset', 'ok', 'error'] as const;

/**
 * A span of the SDK read as one of ours. Nothing is converted before it is asked for: most spans are only counted, and
 * the end of a span is on the path of the user's request.
 */
export class RecordedSpan implements Span {
  readonly #readable: ReadableSpanLike;
  readonly #context: ReturnType<ReadableSpanLike['spanContext']>;
  readonly resource: SpanAttributes;

  constructor(readable: ReadableSpanLike, resource: SpanAttributes) {
    this.#readable = readable;
    this.#context = readable.spanContext();
    this.resource = resource;
  }

  get traceId(): string {
    return this.#context.traceId;
  }
  get spanId(): string {
    return this.#context.spanId;
  }
  get parentSpanId(): string | undefined {
    return this.#readable.parentSpanContext?.spanId;
  }
  get parentIsRemote(): boolean | undefined {
    return this.#readable.parentSpanContext?.isRemote;
  }
  get traceFlags(): number {
    return this.#context.traceFlags;
  }
  get traceState(): string | undefined {
    return this.#context.traceState?.serialize();
  }
  get name(): string {
    return this.#readable.name;
  }
  get kind(): SpanKindName {
    return kindNames[this.#readable.kind] ?? 'internal';
  }
  get startTimeUnixNano(): bigint {
    return nanoseconds(this.#readable.startTime);
  }
  get durationNano(): bigint {
    return nanoseconds(this.#readable.duration);
  }
  get status(): Span['status'] {
    const { code, message } = this.#readable.status;
    return message === undefined
      ? { code: statusCodes[code] ?? 'unset' }
      : { code: statusCodes[code] ?? 'unset', message };
  }
  get attributes(): SpanAttributes {
    return this.#readable.attributes as SpanAttributes;
  }
  get events(): readonly SpanEvent[] {
    return this.#readable.events.map(({ name, time, attributes = {} }) => ({
      name,
      timeUnixNano: nanoseconds(time),
      attributes: attributes as SpanAttributes,
    }));
  }
  get links(): readonly SpanLink[] {
    return this.#readable.links.map(({ context, attributes = {} }) => ({
      traceId: context.traceId,
      spanId: context.spanId,
      traceState: context.traceState?.serialize(),
      attributes: attributes as SpanAttributes,
    }));
  }
  get dropped(): Span['dropped'] {
    const { droppedAttributesCount = 0, droppedEventsCount = 0, droppedLinksCount = 0 } = this.#readable;
    return { attributes: droppedAttributesCount, events: droppedEventsCount, links: droppedLinksCount };
  }
  get scope(): SpanScope {
    const { name, version } = this.#readable.instrumentationScope;
    return version === undefined || version === '' ? { name } : { name, version };
  }
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
    status: span.status,
    attributes: span.attributes,
    events: span.events,
    links: span.links,
    dropped: span.dropped,
    resource: span.resource,
    scope: span.scope,
  };
}

/** Exact nanoseconds; seconds times a billion would exceed what a number can hold. */
function nanoseconds([seconds, nanos]: SecondsAndNanos): bigint {
  return BigInt(Math.trunc(seconds)) * 1_000_000_000n + BigInt(Math.trunc(nanos));
}
