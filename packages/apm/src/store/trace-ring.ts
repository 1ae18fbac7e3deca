import type { Span } from '@mnops/core/spi';

/** Limits of the store. */
export interface TraceRingOptions {
  readonly maxTraces: number;
  readonly maxBytes: number;
  readonly maxSpansPerTrace: number;
}

/** Spans of one trace as they came. */
export interface HeldTrace {
  readonly traceId: string;
  readonly spans: Span[];
  bytes: number;
  /** Epoch milliseconds of the earliest start and the latest end. */
  startMs: number;
  endMs: number;
  hasError: boolean;
  /** Spans that were over the limit. */
  cut: number;
}

/** What the store holds and what it had to let go. */
export interface TraceRingStats {
  readonly traces: number;
  readonly spans: number;
  readonly bytes: number;
  readonly evictedTraces: number;
  readonly cutSpans: number;
  readonly repeatedSpans: number;
}

/** Size of a span without its texts, as measured on a heap of many. */
const spanBytes = 900;
const attributeBytes = 60;

/** Keeps the newest traces in memory, bounded by their number and by their estimated bytes; the oldest go first. */
export class TraceRing {
  readonly #options: TraceRingOptions;
  readonly #traces = new Map<string, HeldTrace>();
  /** Traces in order of their first span. A map would have to skip what was deleted at its front, at each eviction. */
  #order: HeldTrace[] = [];
  #head = 0;
  #bytes = 0;
  #spans = 0;
  #evicted = 0;
  #cut = 0;
  #repeated = 0;

  constructor(options: TraceRingOptions) {
    this.#options = options;
  }

  /**
   * Adds one span to its trace.
   *
   * @returns False when the trace already has this span: a batch whose answer was lost is sent twice.
   */
  add(span: Span, startMs: number, endMs: number, checkRepeats: boolean): boolean {
    const { maxSpansPerTrace } = this.#options;
    const { traceId } = span;
    let trace = this.#traces.get(traceId);
    if (trace === undefined) {
      // Made with its first span: an empty list would grow to room for seventeen, and most traces in a process are short.
      trace = { traceId, spans: [span], bytes: 200, startMs, endMs, hasError: false, cut: 0 };
      this.#traces.set(traceId, trace);
      this.#order.push(trace);
      this.#bytes += trace.bytes;
    } else if (checkRepeats && trace.spans.some((known) => known.spanId === span.spanId)) {
      this.#repeated += 1;
      return false;
    }
    if (span.status.code === 'error') trace.hasError = true;
    if (trace.spans[0] !== span) {
      if (trace.spans.length >= maxSpansPerTrace) {
        trace.cut += 1;
        this.#cut += 1;
        return true;
      }
      trace.spans.push(span);
    }
    if (startMs < trace.startMs) trace.startMs = startMs;
    if (endMs > trace.endMs) trace.endMs = endMs;
    const bytes = sizeOf(span);
    trace.bytes += bytes;
    this.#bytes += bytes;
    this.#spans += 1;
    if (this.#bytes > this.#options.maxBytes || this.#traces.size > this.#options.maxTraces) this.#evict();
    return true;
  }

  get(traceId: string): HeldTrace | undefined {
    return this.#traces.get(traceId);
  }

  /** Traces, newest first. */
  *newestFirst(): Iterable<HeldTrace> {
    const all = this.#order.slice(this.#head);
    for (let i = all.length - 1; i >= 0; i -= 1) yield all[i] as HeldTrace;
  }

  get stats(): TraceRingStats {
    return {
      traces: this.#traces.size,
      spans: this.#spans,
      bytes: this.#bytes,
      evictedTraces: this.#evicted,
      cutSpans: this.#cut,
      repeatedSpans: this.#repeated,
    };
  }

  /** Lets the oldest traces go until both limits hold; the newest goes last. */
  #evict(): void {
    while (this.#bytes > this.#options.maxBytes || this.#traces.size > this.#options.maxTraces) {
      const trace = this.#order[this.#head];
      if (trace === undefined) return;
      this.#head += 1;
      this.#traces.delete(trace.traceId);
      this.#bytes -= trace.bytes;
      this.#spans -= trace.spans.length;
      this.#evicted += 1;
    }
    if (this.#head < 256 || this.#head < this.#order.length / 2) {
      // The slot keeps its place until the array is cut, but not the trace.
      for (let i = this.#head - 1; i >= 0 && this.#order[i] !== gone; i -= 1) this.#order[i] = gone;
      return;
    }
    this.#order = this.#order.slice(this.#head);
    this.#head = 0;
  }
}

/** Stands in the place of a trace that was let go, so that its memory is free. */
const gone: HeldTrace = Object.freeze({
  traceId: '',
  spans: [],
  bytes: 0,
  startMs: 0,
  endMs: 0,
  hasError: false,
  cut: 0,
});

/** Estimated bytes of a span on the heap. */
export function sizeOf(span: Span): number {
  let bytes = spanBytes + span.name.length;
  const { attributes } = span;
  for (const key in attributes) {
    const value = attributes[key];
    bytes += attributeBytes;
    if (typeof value === 'string') bytes += value.length;
    else if (typeof value === 'object') bytes += arrayBytes(value);
  }
  return bytes + extraBytes(span);
}

function extraBytes(span: Span): number {
  let bytes = 0;
  for (const { name, attributes } of span.events) {
    bytes += 200 + name.length;
    for (const value of Object.values(attributes)) {
      bytes += attributeBytes + (typeof value === 'string' ? value.length : 8);
    }
  }
  return bytes + span.links.length * 200;
}

function arrayBytes(values: readonly (string | number | boolean | null)[]): number {
  let bytes = 16;
  for (const value of values) bytes += 8 + (typeof value === 'string' ? value.length : 0);
  return bytes;
}
