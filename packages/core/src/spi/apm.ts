import type { Call, Spi } from './base.js';

/** One value of a span attribute, as OpenTelemetry allows them; a list holds values of one kind. */
export type SpanAttributeValue =
  | string
  | number
  | boolean
  | readonly (string | null)[]
  | readonly (number | null)[]
  | readonly (boolean | null)[];

/** Facts about a span, an event, a link or a resource, by name. */
export type SpanAttributes = Readonly<Record<string, SpanAttributeValue>>;

/** Role of a span in a call between services. */
export type SpanKindName = 'internal' | 'server' | 'client' | 'producer' | 'consumer';

/** Something that happened during a span, at one instant. */
export interface SpanEvent {
  readonly name: string;
  /** Nanoseconds since the Unix epoch. */
  readonly timeUnixNano: bigint;
  readonly attributes: SpanAttributes;
}

/** A reference from a span to another one, mostly of another trace. */
export interface SpanLink {
  /** 32 lower-case hexadecimal digits. */
  readonly traceId: string;
  /** 16 lower-case hexadecimal digits. */
  readonly spanId: string;
  readonly traceState?: string | undefined;
  readonly attributes: SpanAttributes;
}

/** Which library made a span. */
export interface SpanScope {
  readonly name: string;
  readonly version?: string | undefined;
}

/** One finished span. The only MNOps type with nanoseconds: they are bigint because they exceed 2^53. */
export interface Span {
  /** 32 lower-case hexadecimal digits. */
  readonly traceId: string;
  /** 16 lower-case hexadecimal digits. */
  readonly spanId: string;
  /** Absent for a root. */
  readonly parentSpanId?: string | undefined;
  /** Whether the parent lies in another process; absent when unknown. */
  readonly parentIsRemote?: boolean | undefined;
  /** W3C trace flags; bit 0 says sampled. */
  readonly traceFlags: number;
  /** W3C `tracestate` text. */
  readonly traceState?: string | undefined;
  readonly name: string;
  readonly kind: SpanKindName;
  /** Nanoseconds since the Unix epoch. */
  readonly startTimeUnixNano: bigint;
  /** Nanoseconds; never negative. */
  readonly durationNano: bigint;
  readonly status: { readonly code: 'unset' | 'ok' | 'error'; readonly message?: string | undefined };
  readonly attributes: SpanAttributes;
  readonly events: readonly SpanEvent[];
  readonly links: readonly SpanLink[];
  /** How many entries were over a limit and are missing. */
  readonly dropped: { readonly attributes: number; readonly events: number; readonly links: number };
  /** Facts about the process that made the span, such as `service.name`. Spans of one process share the object. */
  readonly resource: SpanAttributes;
  readonly scope: SpanScope;
}

/** Spans on their way to a back end, grouped as OTLP groups them. */
export interface SpanBatch {
  readonly groups: readonly {
    readonly resource: SpanAttributes;
    readonly scope: SpanScope;
    readonly spans: readonly Span[];
  }[];
  /** Spans in all groups. */
  readonly spanCount: number;
}

/** What a back end said about one batch. `accepted + rejected` is the batch's `spanCount`. */
export interface ExportAnswer {
  readonly accepted: number;
  /** Spans that the back end refused for good; sending them again is useless. */
  readonly rejected: number;
  /** The back end's own words, if it gave any. */
  readonly message?: string | undefined;
  /** Shares from 0 to 1 that the back end asks to keep of each service, by its own keys. */
  readonly samplingRates?: ReadonlyMap<string, number> | undefined;
}

/** What an exporter can carry in one request. The host cuts batches to it. */
export interface TraceExporterCapabilities {
  readonly maxRequestBytes: number;
  readonly maxSpansPerRequest: number;
  /** Whether the back end can say that it took only a part of a batch. */
  readonly partialSuccess: boolean;
  /** Whether the same batch may be sent twice without harm, because span ids identify doubles. */
  readonly safeToRepeat: boolean;
  readonly delivers: 'remote' | 'local';
}

/**
 * Delivers spans to one back end.
 *
 * The host owns batching, retries and the queue; the exporter makes one exchange per call.
 */
export interface TraceExporter extends Spi<'trace-exporter'> {
  readonly capabilities: TraceExporterCapabilities;
  /** Options that hold a `secret://` reference, such as `headers.api-key`: a host without a resolver refuses them at once. */
  readonly referenceFields?: readonly string[] | undefined;
  /**
   * Sends one batch in one request. A failure rejects with a `MnopsError` whose `retryable` and `retryAfterMs` say what
   * the back end allows; `MNOPS_CORE_TOO_LARGE` asks the host to split the batch.
   */
  export(batch: SpanBatch, call: Call): Promise<ExportAnswer>;
}
