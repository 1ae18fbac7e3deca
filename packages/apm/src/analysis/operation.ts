import type { SpanKindName } from '@mnops/core/spi';
import type { MetricKind } from '../metrics/metric.js';
import { HourlyStats, type OperationFigures, type Stretch, type TableTime } from './hourly-stats.js';
import { OperationStats } from './operation-stats.js';

/** What an operation needs to know of a span, or of one value of a metric. */
export interface Observation {
  readonly traceId: string;
  readonly parentSpanId: string | undefined;
  readonly origin: { readonly service: string };
  readonly operation: string;
  readonly kind: SpanKindName | 'metric';
  /** Epoch milliseconds. */
  readonly endMs: number;
  /** Milliseconds; of a metric, its value. */
  readonly durationMs: number;
  readonly error: boolean;
  /** How many spans this one stands for. Default 1. */
  readonly count?: number | undefined;
}

/** Buckets of one operation that may be open at once; spans outside of them go straight to the baseline. */
const maxOpenBuckets = 16;
/** Hours of late spans that are gathered before they are learned. */
const maxLateHours = 4;
const hourMs = 3_600_000;

/** One operation of one service: what is usual for it, and the buckets that are still filling. */
export class Operation {
  readonly service: string;
  readonly name: string;
  readonly kind: SpanKindName | 'metric';
  /** Labels of a metric's series. */
  labels: Readonly<Record<string, string>> | undefined;
  /** How the values of a metric belong together; only of metrics, once one was recorded. */
  metric: MetricKind | undefined;
  /** What the operation is judged by. Buckets join it when they turned out to be normal. */
  baseline: OperationStats = new OperationStats();
  /** The same by hour of the week. */
  hours: HourlyStats = new HourlyStats();
  /** Closed buckets whose normality is not settled, oldest first. */
  readonly window: { readonly index: number; readonly stats: OperationStats }[] = [];
  /** Whether it stands for work that somebody waits for: requests, messages, and roots. */
  judged = false;
  /** Index of the first bucket that is not closed. */
  nextIndex: number;
  /** Epoch milliseconds between which the figures lie; the first moves on as old figures fade. */
  firstMs: number;
  lastMs: number;
  readonly time: TableTime;
  readonly #open = new Map<number, OperationStats>();
  /** Spans outside of the open buckets, by hours since the epoch. */
  readonly #late = new Map<number, OperationStats>();
  #currentIndex = -1;
  #current: OperationStats | undefined;

  constructor(facts: Observation, name: string, service: string, nextIndex: number, time: TableTime) {
    this.time = time;
    this.service = service;
    this.name = name;
    this.kind = facts.kind;
    this.nextIndex = nextIndex;
    this.firstMs = facts.endMs;
    this.lastMs = facts.endMs;
  }

  add(facts: Observation, index: number): void {
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

  /** Makes a bucket that turned out to be normal part of what is usual. */
  learn(index: number, stats: OperationStats): void {
    const { bucketMs } = this.time;
    this.#learn({ fromMs: index * bucketMs, toMs: (index + 1) * bucketMs, stats });
  }

  /** Learns the spans that came outside of the open buckets. */
  settleLate(): void {
    if (this.#late.size === 0) return;
    for (const stretch of this.#lateStretches()) this.#learn(stretch);
    this.#late.clear();
    this.#current = undefined;
  }

  /** Gives up judging what is open and closed so far: it all counts as normal, and buckets go on at `nextIndex`. */
  skipTo(nextIndex: number): void {
    for (const { index, stats } of this.window) this.learn(index, stats);
    for (const [index, stats] of this.#open) this.learn(index, stats);
    this.window.length = 0;
    this.#open.clear();
    this.#current = undefined;
    this.nextIndex = nextIndex;
  }

  /** Forgets what was usual, so that it is learned anew from the next bucket on. */
  relearn(): void {
    this.baseline = new OperationStats();
    this.hours = new HourlyStats();
    this.window.length = 0;
    this.#late.clear();
    this.#current = undefined;
    this.firstMs = this.lastMs;
  }

  /** What is known now. `settled`: without the buckets that may yet turn out to be trouble. */
  figures(settled: boolean): OperationFigures {
    const stretches = [...this.#lateStretches()];
    if (!settled) {
      const { bucketMs } = this.time;
      const add = (index: number, stats: OperationStats): void => {
        const fromMs = Math.max(index * bucketMs, Math.min(this.firstMs, (index + 1) * bucketMs));
        stretches.push({ fromMs, toMs: Math.max(fromMs, Math.min(this.lastMs, (index + 1) * bucketMs)), stats });
      };
      for (const { index, stats } of this.window) add(index, stats);
      for (const [index, stats] of this.#open) add(index, stats);
    }
    return { all: this.baseline, hours: this.hours, stretches, firstMs: this.firstMs, lastMs: this.lastMs };
  }

  /** Takes over what was known before the process began. Judging begins after the first span. */
  resume({ all, hours, stretches, firstMs, lastMs }: OperationFigures): void {
    this.baseline.merge(all);
    this.hours.merge(hours);
    this.firstMs = Math.min(this.firstMs, firstMs);
    this.lastMs = Math.max(this.lastMs, lastMs);
    for (const stretch of stretches) this.#learn(stretch);
  }

  #learn({ stats, fromMs, toMs }: Stretch): void {
    this.baseline.merge(stats);
    this.hours.add(stats, fromMs, toMs, this.time);
  }

  *#lateStretches(): Iterable<Stretch> {
    for (const [hour, stats] of this.#late) {
      const fromMs = Math.max(hour * hourMs, Math.min(this.firstMs, (hour + 1) * hourMs - 1));
      const toMs = Math.min((hour + 1) * hourMs, Math.max(this.lastMs, fromMs));
      yield { fromMs, toMs, stats };
    }
  }

  #bucket(index: number): OperationStats {
    if (this.nextIndex === Number.POSITIVE_INFINITY) this.nextIndex = index + 1;
    // Too late, or from a clock that runs ahead: such spans tell what is usual, but not what happens now.
    if (index < this.nextIndex || index >= this.nextIndex + maxOpenBuckets) return this.#lateOf(index);
    let stats = this.#open.get(index);
    if (stats === undefined) {
      stats = new OperationStats();
      this.#open.set(index, stats);
    }
    return stats;
  }

  #lateOf(index: number): OperationStats {
    const hour = Math.floor((index * this.time.bucketMs) / hourMs);
    let stats = this.#late.get(hour);
    if (stats === undefined) {
      if (this.#late.size >= maxLateHours) this.settleLate();
      stats = new OperationStats();
      this.#late.set(hour, stats);
    }
    return stats;
  }
}
