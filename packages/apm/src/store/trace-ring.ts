import type { Span, SpanAttributes } from '@mnops/core/spi';
import { type ReadableSpanLike, RecordedSpan } from '../tracing/recorded-span.js';
import { noPlace, SpanBlocks, type SpanPlace } from './span-blocks.js';
import { sizeOf } from './span-size.js';
import { TraceIndex } from './trace-index.js';

/** Limits of the store. */
export interface TraceRingOptions {
  readonly maxTraces: number;
  readonly maxBytes: number;
  readonly maxSpansPerTrace: number;
}

/** Spans of one trace as they came. */
export interface HeldTrace {
  readonly traceId: string;
  /** Read from the store when they are asked for. */
  readonly spans: readonly Span[];
  /** Epoch milliseconds of the earliest start and the latest end. */
  readonly startMs: number;
  readonly endMs: number;
  readonly hasError: boolean;
  /** Spans that were over the limit. */
  readonly cut: number;
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

const traceBytes = 200;
const errorStatus = 2;
/** Says that there is no slot. */
const none = -1;
/** Slots to begin with. Memory that is not written to yet costs nothing. */
const firstSlots = 16_384;

/** One column per fact about a trace; a trace is a slot in all of them. */
class Columns {
  readonly size: number;
  readonly index: TraceIndex;
  readonly first: Float64Array;
  readonly last: Float64Array;
  readonly bytes: Float64Array;
  readonly startMs: Float64Array;
  readonly endMs: Float64Array;
  readonly counts: Int32Array;
  readonly cuts: Int32Array;
  readonly failed: Uint8Array;

  constructor(size: number) {
    this.size = size;
    this.index = new TraceIndex(size);
    this.first = new Float64Array(size);
    this.last = new Float64Array(size);
    this.bytes = new Float64Array(size);
    this.startMs = new Float64Array(size);
    this.endMs = new Float64Array(size);
    this.counts = new Int32Array(size);
    this.cuts = new Int32Array(size);
    this.failed = new Uint8Array(size);
  }

  copy(slot: number, from: Columns, fromSlot: number): void {
    this.index.add(from.index.idAt(fromSlot), slot);
    for (const name of ['first', 'last', 'bytes', 'startMs', 'endMs', 'counts', 'cuts', 'failed'] as const) {
      this[name][slot] = from[name][fromSlot] as number;
    }
  }
}

/** Keeps the newest traces in memory, bounded by their number and by their estimated bytes; the oldest go first. */
export class TraceRing {
  readonly #options: TraceRingOptions;
  readonly #blocks = new SpanBlocks();
  /** A ring: traces take slots in the order of their first span, and leave them in the same order. */
  #columns: Columns;
  /** Numbers of the oldest trace and of the next one; a trace's slot is its number modulo the size of the columns. */
  #oldest = 0;
  #next = 0;
  #bytes = 0;
  #spans = 0;
  #evicted = 0;
  #cut = 0;
  #repeated = 0;

  constructor(options: TraceRingOptions) {
    this.#options = options;
    let slots = 16;
    while (slots < Math.min(options.maxTraces + 1, firstSlots)) slots *= 2;
    this.#columns = new Columns(slots);
  }

  /**
   * Adds one span to its trace.
   *
   * @returns False when the trace already has this span: a batch whose answer was lost is sent twice.
   */
  add(span: Span, startMs: number, endMs: number): boolean {
    const { traceId } = span;
    const known = this.#columns.index.find(traceId);
    if (known !== none && this.#has(known, span.spanId)) {
      this.#repeated += 1;
      return false;
    }
    const failed = span.status.code === 'error';
    if (known !== none && this.#isFull(known, failed)) return true;
    const slot = known === none ? this.#begin(traceId, startMs, endMs) : known;
    this.#put(slot, this.#blocks.addWhole(span), sizeOf(span), failed, startMs, endMs);
    return true;
  }

  /** Adds a span of the SDK that has just ended. A span that cannot be read changes nothing. */
  addEnded(span: ReadableSpanLike, resource: SpanAttributes, startMs: number, endMs: number): void {
    const { traceId } = span.spanContext();
    const known = this.#columns.index.find(traceId);
    const failed = span.status.code === errorStatus;
    if (known !== none && this.#isFull(known, failed)) return;
    let place = this.#blocks.add(span, resource);
    let bytes = this.#blocks.lastBytes;
    if (place === noPlace) {
      const whole = new RecordedSpan(span, resource);
      bytes = sizeOf(whole);
      place = this.#blocks.addWhole(whole);
    }
    this.#put(known === none ? this.#begin(traceId, startMs, endMs) : known, place, bytes, failed, startMs, endMs);
  }

  get(traceId: string): HeldTrace | undefined {
    const slot = this.#columns.index.find(traceId);
    return slot === none ? undefined : this.#view(slot);
  }

  /** Traces, newest first. A trace that is let go meanwhile is left out. */
  *newestFirst(): Iterable<HeldTrace> {
    for (let number = this.#next - 1; number >= this.#oldest; number -= 1) {
      yield this.#view(number % this.#columns.size);
    }
  }

  get stats(): TraceRingStats {
    return {
      traces: this.#next - this.#oldest,
      spans: this.#spans,
      bytes: this.#bytes,
      evictedTraces: this.#evicted,
      cutSpans: this.#cut,
      repeatedSpans: this.#repeated,
    };
  }

  /** Whether a trace has no room for one more span, which then counts as cut. */
  #isFull(slot: number, failed: boolean): boolean {
    const columns = this.#columns;
    if ((columns.counts[slot] as number) < this.#options.maxSpansPerTrace) return false;
    if (failed) columns.failed[slot] = 1;
    (columns.cuts[slot] as number) += 1;
    this.#cut += 1;
    return true;
  }

  #begin(traceId: string, startMs: number, endMs: number): number {
    if (this.#next - this.#oldest === this.#columns.size) this.#grow();
    const columns = this.#columns;
    const slot = this.#next % columns.size;
    this.#next += 1;
    columns.index.add(traceId, slot);
    columns.first[slot] = noPlace;
    columns.last[slot] = noPlace;
    columns.bytes[slot] = traceBytes;
    columns.startMs[slot] = startMs;
    columns.endMs[slot] = endMs;
    columns.counts[slot] = 0;
    columns.cuts[slot] = 0;
    columns.failed[slot] = 0;
    this.#bytes += traceBytes;
    return slot;
  }

  #put(slot: number, place: SpanPlace, bytes: number, failed: boolean, startMs: number, endMs: number): void {
    const columns = this.#columns;
    if (failed) columns.failed[slot] = 1;
    if (startMs < (columns.startMs[slot] as number)) columns.startMs[slot] = startMs;
    if (endMs > (columns.endMs[slot] as number)) columns.endMs[slot] = endMs;
    const last = columns.last[slot] as number;
    if (last === noPlace) columns.first[slot] = place;
    else this.#blocks.link(last, place);
    columns.last[slot] = place;
    (columns.counts[slot] as number) += 1;
    (columns.bytes[slot] as number) += bytes;
    this.#bytes += bytes;
    this.#spans += 1;
    const { maxBytes, maxTraces } = this.#options;
    while ((this.#bytes > maxBytes || this.#next - this.#oldest > maxTraces) && this.#oldest < this.#next) {
      this.#evictOldest();
    }
  }

  #evictOldest(): void {
    const columns = this.#columns;
    const slot = this.#oldest % columns.size;
    this.#oldest += 1;
    for (let place = columns.first[slot] as number; place !== noPlace; ) {
      place = this.#blocks.remove(place);
    }
    columns.index.remove(slot);
    this.#bytes -= columns.bytes[slot] as number;
    this.#spans -= columns.counts[slot] as number;
    this.#evicted += 1;
  }

  #grow(): void {
    const before = this.#columns;
    const columns = new Columns(before.size * 2);
    for (let number = this.#oldest; number < this.#next; number += 1) {
      const slot = number % columns.size;
      columns.copy(slot, before, number % before.size);
    }
    this.#columns = columns;
  }

  #has(slot: number, spanId: string): boolean {
    for (let place = this.#columns.first[slot] as number; place !== noPlace; place = this.#blocks.next(place)) {
      if (this.#blocks.hasId(place, spanId)) return true;
    }
    return false;
  }

  #view(slot: number): HeldTrace {
    const columns = this.#columns;
    const traceId = columns.index.idAt(slot);
    const blocks = this.#blocks;
    const first = columns.first[slot] as number;
    let spans: Span[] | undefined;
    return {
      traceId,
      get spans() {
        spans ??= [...spansFrom(blocks, first, traceId)];
        return spans;
      },
      startMs: columns.startMs[slot] as number,
      endMs: columns.endMs[slot] as number,
      hasError: columns.failed[slot] === 1,
      cut: columns.cuts[slot] as number,
    };
  }
}

function* spansFrom(blocks: SpanBlocks, first: SpanPlace, traceId: string): Iterable<Span> {
  for (let place = first; place !== noPlace; place = blocks.next(place)) {
    const span = blocks.read(place, traceId);
    if (span !== undefined) yield span;
  }
}
