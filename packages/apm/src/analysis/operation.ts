import type { SpanKindName } from '@mnops/core/spi';
import { OperationStats } from './operation-stats.js';
import type { SpanFacts } from './span-facts.js';

/** Buckets of one operation that may be open at once; spans outside of them go straight to the baseline. */
const maxOpenBuckets = 16;

/** One operation of one service: what is usual for it, and the buckets that are still filling. */
export class Operation {
  readonly service: string;
  readonly name: string;
  readonly kind: SpanKindName;
  /** What the operation is judged by. Buckets join it when they turned out to be normal. */
  baseline: OperationStats = new OperationStats();
  /** Closed buckets whose normality is not settled, oldest first. */
  readonly window: { readonly index: number; readonly stats: OperationStats }[] = [];
  /** Whether it stands for work that somebody waits for: requests, messages, and roots. */
  judged = false;
  /** Index of the first bucket that is not closed. */
  nextIndex: number;
  /** Epoch milliseconds between which the figures lie; the first moves on as old figures fade. */
  firstMs: number;
  lastMs: number;
  readonly #open = new Map<number, OperationStats>();
  #currentIndex = -1;
  #current: OperationStats | undefined;

  constructor(facts: SpanFacts, name: string, service: string, nextIndex: number) {
    this.service = service;
    this.name = name;
    this.kind = facts.kind;
    this.nextIndex = nextIndex;
    this.firstMs = facts.endMs;
    this.lastMs = facts.endMs;
  }

  add(facts: SpanFacts, index: number): void {
    if (!this.judged) {
      this.judged = facts.kind === 'server' || facts.kind === 'consumer' || facts.parentSpanId === undefined;
    }
    if (facts.endMs > this.lastMs) this.lastMs = facts.endMs;
    else if (facts.endMs < this.firstMs) this.firstMs = facts.endMs;
    if (index !== this.#currentIndex || this.#current === undefined) {
      this.#current = this.#bucket(index);
      this.#currentIndex = index;
    }
    this.#current.add(facts.durationMs, facts.error, facts.traceId, facts.count);
  }

  /** Takes the bucket out of the open ones; a bucket without spans is empty stats. */
  close(index: number): OperationStats {
    const stats = this.#open.get(index) ?? new OperationStats();
    this.#open.delete(index);
    if (index === this.#currentIndex) this.#current = undefined;
    this.nextIndex = index + 1;
    return stats;
  }

  /** Gives up judging what is open and closed so far: it all counts as normal, and buckets go on at `nextIndex`. */
  skipTo(nextIndex: number): void {
    for (const { stats } of this.window) this.baseline.merge(stats);
    for (const stats of this.#open.values()) this.baseline.merge(stats);
    this.window.length = 0;
    this.#open.clear();
    this.#current = undefined;
    this.nextIndex = nextIndex;
  }

  /** Forgets what was usual, so that it is learned anew from the next bucket on. */
  relearn(): void {
    this.baseline = new OperationStats();
    this.window.length = 0;
    this.firstMs = this.lastMs;
  }

  /** Stats that are not part of the baseline yet. */
  *unsettled(): Iterable<OperationStats> {
    for (const { stats } of this.window) yield stats;
    yield* this.#open.values();
  }

  #bucket(index: number): OperationStats {
    // Too late, or from a clock that runs ahead: such spans tell what is usual, but not what happens now.
    if (index < this.nextIndex || index >= this.nextIndex + maxOpenBuckets) return this.baseline;
    let stats = this.#open.get(index);
    if (stats === undefined) {
      stats = new OperationStats();
      this.#open.set(index, stats);
    }
    return stats;
  }
}
