import type { Span, SpanBatch } from '@mnops/core/spi';
import { sizeOf } from '../store/span-size.js';
import { plainSpan } from '../tracing/recorded-span.js';
import { type QueuedSpan, SpanLane } from './span-lane.js';

/**
 * Spans that wait to be delivered, in their order. Which of them goes first when there are too many: the oldest that is
 * not sampled, then the oldest without an error, then the oldest.
 */
export class SpanQueue {
  readonly #unsampled: SpanLane = new SpanLane();
  readonly #plain: SpanLane = new SpanLane();
  readonly #failed: SpanLane = new SpanLane();
  readonly #lanes: readonly SpanLane[] = [this.#unsampled, this.#plain, this.#failed];
  /** Resources in the estimate already. */
  readonly #paid: WeakSet<object> = new WeakSet();
  #order = 0;
  #bytes = 0;

  get size(): number {
    return this.#unsampled.size + this.#plain.size + this.#failed.size;
  }

  /** Estimated bytes on the heap. */
  get bytes(): number {
    return this.#bytes;
  }

  push(span: Span): void {
    const bytes = sizeOf(span, this.#paid);
    this.#order += 1;
    this.#bytes += bytes;
    this.#laneOf(span).push({ span, bytes, order: this.#order });
  }

  /** Takes the oldest spans, as many as asked for, and no more than so many bytes beyond the first. */
  take(count: number, maxBytes: number = Number.POSITIVE_INFINITY): QueuedSpan[] {
    const taken: QueuedSpan[] = [];
    let bytes = 0;
    while (taken.length < count) {
      const lane = this.#oldestLane();
      const entry = lane?.first;
      if (entry === undefined || (taken.length > 0 && bytes + entry.bytes > maxBytes)) break;
      lane?.shift();
      bytes += entry.bytes;
      taken.push(entry);
    }
    this.#bytes -= bytes;
    return taken;
  }

  /** Puts spans back that were taken last, before all others. */
  putBack(entries: readonly QueuedSpan[]): void {
    for (const lane of this.#lanes) lane.unshift(entries.filter(({ span }) => this.#laneOf(span) === lane));
    for (const { bytes } of entries) this.#bytes += bytes;
  }

  /** Gives one span up. @returns Whether there was one. */
  dropOne(): boolean {
    const entry = this.#lanes.find(({ size }) => size > 0)?.shift();
    this.#bytes -= entry?.bytes ?? 0;
    return entry !== undefined;
  }

  #laneOf(span: Span): SpanLane {
    if (span.status.code === 'error') return this.#failed;
    return (span.traceFlags & 1) === 0 ? this.#unsampled : this.#plain;
  }

  #oldestLane(): SpanLane | undefined {
    let oldest: SpanLane | undefined;
    for (const lane of this.#lanes) {
      if (lane.first !== undefined && lane.first.order < (oldest?.first?.order ?? Number.POSITIVE_INFINITY))
        oldest = lane;
    }
    return oldest;
  }
}

/** Groups spans by resource and scope, as every back end wants them. */
export function batchOf(spans: readonly Span[]): SpanBatch {
  const groups = new Map<string, { resource: Span['resource']; scope: Span['scope']; spans: Span[] }>();
  const resources = new Map<Span['resource'], number>();
  for (const span of spans) {
    const { resource, scope } = span;
    let number = resources.get(resource);
    if (number === undefined) {
      number = resources.size;
      resources.set(resource, number);
    }
    const key = JSON.stringify([number, scope.name, scope.version]);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, { resource, scope, spans: [plainSpan(span)] });
    else group.spans.push(plainSpan(span));
  }
  return { groups: [...groups.values()], spanCount: spans.length };
}
