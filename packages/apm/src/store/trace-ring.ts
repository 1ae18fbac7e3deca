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
  /** Called with a trace before it is let go. */
  readonly evicting?: ((trace: HeldTrace) => void) | undefined;
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

/** A trace beside its spans, as measured on many. */
const traceBytes = 120;
/** A trace of one span below this size is not worth to be taken out of its block, whose spans end their stay together. */
const smallBytes = 2_048;
const errorStatus = 2;
/** Says that there is no slot. */
const none = -1;
/** Slots to begin with. Memory that is not written to yet costs nothing. */
const firstSlots = 16_384;

/** Numbers that are known of a trace: eight, so that a row of them is one line of the processor's cache. */
const rowSize = 8;
const firstAt = 0;
const lastAt = 1;
const bytesAt = 2;
const startAt = 3;
const endAt = 4;
const countAt = 5;
const cutAt = 6;
const failedAt = 7;

/** Keeps the newest traces in memory, bounded by their number and by their estimated bytes; the oldest go first. */
export class TraceRing {
  readonly #options: TraceRingOptions;
  readonly #blocks = new SpanBlocks();
  /** A ring: traces take slots in the order of their first span, and leave them in the same order. */
  #index: TraceIndex;
  #rows: Float64Array;
  /** Numbers of the oldest trace and of the next one; a trace's slot is its number modulo the number of slots. */
  #oldest = 0;
  #next = 0;
  #bytes = 0;
  readonly #paid = new WeakSet<object>();
  #spans = 0;
  #evicted = 0;
  #cut = 0;
  #repeated = 0;

  constructor(options: TraceRingOptions) {
    this.#options = options;
    let slots = 16;
    while (slots < Math.min(options.maxTraces + 1, firstSlots)) slots *= 2;
    this.#index = new TraceIndex(slots);
    this.#rows = new Float64Array(rowSize * slots);
  }

  /**
   * Adds one span to its trace.
   *
   * @returns False when the trace already has this span: a batch whose answer was lost is sent twice.
   */
  add(span: Span, startMs: number, endMs: number): boolean {
    const { traceId } = span;
    const known = this.#index.find(traceId);
    if (known !== none && this.#has(known, span.spanId)) {
      this.#repeated += 1;
      return false;
    }
    const failed = span.status.code === 'error';
    if (known !== none && this.#isFull(known, failed)) return true;
    const slot = known === none ? this.#begin(traceId, startMs, endMs) : known;
    this.#put(slot, this.#blocks.addWhole(span), sizeOf(span, this.#paid), failed, startMs, endMs);
    return true;
  }

  /** Adds a span of the SDK that has just ended. A span that cannot be read changes nothing. */
  addEnded(span: ReadableSpanLike, resource: SpanAttributes, startMs: number, endMs: number): void {
    const { traceId } = span.spanContext();
    const known = this.#index.find(traceId, span.idWords);
    const failed = span.status.code === errorStatus;
    if (known !== none && this.#isFull(known, failed)) return;
    let place = this.#blocks.add(span, resource);
    let bytes = this.#blocks.lastBytes;
    if (place === noPlace) {
      const whole = new RecordedSpan(span, resource);
      bytes = sizeOf(whole, this.#paid);
      place = this.#blocks.addWhole(whole);
    }
    this.#put(known === none ? this.#begin(traceId, startMs, endMs) : known, place, bytes, failed, startMs, endMs);
  }

  get(traceId: string): HeldTrace | undefined {
    const slot = this.#index.find(traceId);
    return slot === none ? undefined : this.#view(slot);
  }

  /** Traces, newest first. A trace that is let go meanwhile is left out. */
  *newestFirst(): Iterable<HeldTrace> {
    for (let number = this.#next - 1; number >= this.#oldest; number -= 1) {
      yield this.#view(number % this.#index.size);
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
    const rows = this.#rows;
    const row = slot * rowSize;
    if ((rows[row + countAt] as number) < this.#options.maxSpansPerTrace) return false;
    if (failed) rows[row + failedAt] = 1;
    (rows[row + cutAt] as number) += 1;
    this.#cut += 1;
    return true;
  }

  #begin(traceId: string, startMs: number, endMs: number): number {
    if (this.#next - this.#oldest === this.#index.size) this.#grow();
    const slot = this.#next % this.#index.size;
    this.#next += 1;
    this.#index.add(traceId, slot);
    const rows = this.#rows;
    const row = slot * rowSize;
    rows[row + firstAt] = noPlace;
    rows[row + lastAt] = noPlace;
    rows[row + bytesAt] = traceBytes;
    rows[row + startAt] = startMs;
    rows[row + endAt] = endMs;
    rows[row + countAt] = 0;
    rows[row + cutAt] = 0;
    rows[row + failedAt] = 0;
    this.#bytes += traceBytes;
    return slot;
  }

  #put(slot: number, place: SpanPlace, bytes: number, failed: boolean, startMs: number, endMs: number): void {
    const rows = this.#rows;
    const row = slot * rowSize;
    if (failed) rows[row + failedAt] = 1;
    if (startMs < (rows[row + startAt] as number)) rows[row + startAt] = startMs;
    if (endMs > (rows[row + endAt] as number)) rows[row + endAt] = endMs;
    const last = rows[row + lastAt] as number;
    if (last === noPlace) rows[row + firstAt] = place;
    else this.#blocks.link(last, place);
    rows[row + lastAt] = place;
    (rows[row + countAt] as number) += 1;
    (rows[row + bytesAt] as number) += bytes;
    this.#bytes += bytes;
    this.#spans += 1;
    const { maxBytes, maxTraces } = this.#options;
    while ((this.#bytes > maxBytes || this.#next - this.#oldest > maxTraces) && this.#oldest < this.#next) {
      this.#evictOldest();
    }
  }

  #evictOldest(): void {
    const rows = this.#rows;
    const slot = this.#oldest % this.#index.size;
    const row = slot * rowSize;
    this.#options.evicting?.(this.#view(slot));
    this.#oldest += 1;
    let place = rows[row + firstAt] as number;
    if (rows[row + countAt] === 1 && (rows[row + bytesAt] as number) < smallBytes) this.#blocks.release(place);
    // The texts of a long trace must not live on in blocks that newer traces share.
    else while (place !== noPlace) place = this.#blocks.remove(place);
    this.#index.remove(slot);
    this.#bytes -= rows[row + bytesAt] as number;
    this.#spans -= rows[row + countAt] as number;
    this.#evicted += 1;
  }

  #grow(): void {
    const before = { index: this.#index, rows: this.#rows };
    const index = new TraceIndex(before.index.size * 2);
    const rows = new Float64Array(rowSize * index.size);
    for (let number = this.#oldest; number < this.#next; number += 1) {
      const slot = number % index.size;
      const from = number % before.index.size;
      index.add(before.index.idAt(from), slot);
      rows.set(before.rows.subarray(from * rowSize, (from + 1) * rowSize), slot * rowSize);
    }
    this.#index = index;
    this.#rows = rows;
  }

  #has(slot: number, spanId: string): boolean {
    const first = this.#rows[slot * rowSize + firstAt] as number;
    for (let place = first; place !== noPlace; place = this.#blocks.next(place)) {
      if (this.#blocks.hasId(place, spanId)) return true;
    }
    return false;
  }

  #view(slot: number): HeldTrace {
    const rows = this.#rows;
    const row = slot * rowSize;
    const traceId = this.#index.idAt(slot);
    const blocks = this.#blocks;
    const first = rows[row + firstAt] as number;
    let spans: Span[] | undefined;
    return {
      traceId,
      get spans() {
        spans ??= [...spansFrom(blocks, first, traceId)];
        return spans;
      },
      startMs: rows[row + startAt] as number,
      endMs: rows[row + endAt] as number,
      hasError: rows[row + failedAt] === 1,
      cut: rows[row + cutAt] as number,
    };
  }
}

function* spansFrom(blocks: SpanBlocks, first: SpanPlace, traceId: string): Iterable<Span> {
  for (let place = first; place !== noPlace; place = blocks.next(place)) {
    const span = blocks.read(place, traceId);
    if (span !== undefined) yield span;
  }
}
