import type { SpanKindName } from '@mnops/core/spi';
import { operationKinds } from '../span-kinds.js';
import { other } from './edge-table.js';
import {
  type BaselineBucket,
  type ChosenFigures,
  chooseFigures,
  type OperationFigures,
  type TableTime,
} from './hourly-stats.js';
import { LatencySketch } from './latency-sketch.js';
import { type Observation, Operation } from './operation.js';
import type { OperationStats } from './operation-stats.js';

/** Which operations a question is about; an absent field matches all. */
export interface OperationFilter {
  readonly service?: string | undefined;
  readonly operation?: string | undefined;
  readonly kind?: SpanKindName | 'metric' | undefined;
  /** Instant whose hour the figures are for. Default now. */
  readonly at?: Date | undefined;
}

/** A span of time; both ends may be open. */
export interface TimeWindow {
  readonly from?: Date | undefined;
  readonly to?: Date | undefined;
}

/** What is usual for one operation. */
export interface PerformanceBaseline {
  readonly service: string;
  readonly operation: string;
  readonly kind: SpanKindName | 'metric';
  /** Labels of a metric's series; absent of spans. */
  readonly labels?: Readonly<Record<string, string>> | undefined;
  /**
   * What the figures are made from: the spans of that hour of the week (UTC) when there are enough, else of that hour of
   * any day, else all.
   */
  readonly bucket: BaselineBucket;
  /** Time that the figures stand for; its start moves on as old spans fade. */
  readonly window: { readonly from: Date; readonly to: Date };
  /** Spans behind the figures; older ones weigh less. */
  readonly count: number;
  /** Milliseconds; of a metric, values in its own unit. A quantile is `undefined` below 1/(1-q) spans: P50 needs 2, P95 20, P99 100. */
  readonly durationMs: {
    readonly mean: number;
    readonly standardDeviation: number;
    readonly min: number;
    readonly max: number;
    readonly p50: number | undefined;
    readonly p95: number | undefined;
    readonly p99: number | undefined;
  };
  /** Share of failed spans, 0 to 1. */
  readonly errorShare: number;
  readonly callsPerSecond: number;
  /** Largest relative error of the quantiles. */
  readonly relativeError: number;
}

/** What happens when a bucket of an operation is complete. */
export type BucketJudge = (operation: Operation, index: number, stats: OperationStats) => void;

/** Limits and lengths of an operation table. */
export interface OperationTableOptions {
  readonly bucketMs: number;
  /** Milliseconds after its end until a bucket is closed, for spans that arrive late. */
  readonly settleMs: number;
  readonly maxOperations: number;
  readonly halfLifeMs: number;
  /** Spans of an hour from which on it has a baseline of its own. */
  readonly minSamples: number;
  /** Estimated bytes of all baselines; beyond, the hours of the least used operations are folded. */
  readonly maxBytes: number;
  readonly judge: BucketJudge;
}

/** What is known of one operation, here or in another process. */
export interface KnownOperation {
  readonly service: string;
  readonly operation: string;
  readonly kind: SpanKindName | 'metric';
  readonly labels?: Readonly<Record<string, string>> | undefined;
  readonly figures: OperationFigures;
}

/** Buckets that may be overdue before the table concludes that the process slept. */
const maxBacklog = 120;

/** Operations of all services with what is usual for each, bounded, cut into buckets of time. */
export class OperationTable {
  readonly time: TableTime;
  readonly #options: OperationTableOptions;
  readonly #services = new Map<string, Map<string, (Operation | undefined)[]>>();
  readonly #all: Operation[] = [];
  #last: Operation | undefined;
  #overflowed = 0;
  #lastRoll: { readonly wallMs: number; readonly monotonicMs: number } | undefined;
  #lastDecayMs: number | undefined;

  constructor(options: OperationTableOptions) {
    this.#options = options;
    this.time = { nowMs: 0, bucketMs: options.bucketMs, halfLifeMs: options.halfLifeMs };
  }

  /** Spans that were counted under `(other)` because the table is full. */
  get overflowed(): number {
    return this.#overflowed;
  }

  get size(): number {
    return this.#all.length;
  }

  get operations(): readonly Operation[] {
    return this.#all;
  }

  /** Takes one span into account. */
  observe(facts: Observation): Operation {
    const index = Math.floor(facts.endMs / this.#options.bucketMs);
    const { kind, operation: name } = facts;
    const { service } = facts.origin;
    let operation = this.#last;
    // Spans of one kind of work mostly come together.
    if (operation?.name !== name || operation.kind !== kind || operation.service !== service) {
      const position = operationKinds.indexOf(kind);
      operation = this.#services.get(service)?.get(name)?.[position] ?? this.#create(facts, position, index);
      this.#last = operation;
    }
    operation.add(facts, index);
    return operation;
  }

  /** Closes the buckets whose time is over and hands each to the judge, empty ones included. */
  roll(wallMs: number, monotonicMs: number): void {
    const { bucketMs, settleMs, judge } = this.#options;
    const due = Math.floor((wallMs - settleMs) / bucketMs);
    const before = this.#lastRoll;
    this.#lastRoll = { wallMs, monotonicMs };
    this.time.nowMs = wallMs;
    const jumped =
      before !== undefined &&
      Math.abs(wallMs - before.wallMs - (monotonicMs - before.monotonicMs)) > Math.max(2 * bucketMs, 1_000);
    for (const operation of this.#all) {
      operation.settleLate();
      if (jumped || due - operation.nextIndex > maxBacklog) operation.skipTo(Math.floor(wallMs / bucketMs) + 1);
      while (operation.nextIndex < due) {
        const index = operation.nextIndex;
        judge(operation, index, operation.close(index));
      }
    }
    this.#forget(wallMs);
    this.#fold();
  }

  /** What is known now of each operation; of one whose anomaly is open, only what was usual before. */
  *known(isOpen: (operation: Operation) => boolean): Iterable<KnownOperation> {
    for (const operation of this.#all) {
      const { service, name, kind, labels } = operation;
      yield { service, operation: name, kind, labels, figures: operation.figures(isOpen(operation)) };
    }
  }

  /** Takes over what was known of an operation before the process began. */
  restore(known: KnownOperation): void {
    const { service, operation, kind, labels, figures } = known;
    const position = operationKinds.indexOf(kind);
    const present = this.#services.get(service)?.get(operation)?.[position];
    if (present !== undefined) {
      present.resume(figures);
      return;
    }
    if (this.#all.length >= this.#options.maxOperations) return;
    const [endMs, durationMs] = [figures.lastMs, 0];
    const facts = { traceId: '', parentSpanId: undefined, origin: { service }, operation, kind, endMs, durationMs };
    const restored = this.#create({ ...facts, error: false }, position, Number.POSITIVE_INFINITY);
    restored.labels = labels;
    restored.resume(figures);
  }

  /** Estimated bytes of all baselines. */
  get bytes(): number {
    let bytes = 0;
    for (const { baseline, hours } of this.#all) bytes += baseline.durationMs.bytes + hours.bytes;
    return bytes;
  }

  /**
   * What is usual, for each operation that matches, most calls first.
   *
   * @param atMs - Instant whose hour is asked for.
   * @param operations - What this process knows, and others.
   */
  baselines(
    filter: OperationFilter,
    atMs: number,
    operations: Iterable<KnownOperation> = this.known(() => false),
  ): PerformanceBaseline[] {
    const groups = new Map<string, { readonly of: KnownOperation; readonly parts: OperationFigures[] }>();
    const include = (of: KnownOperation): void => {
      if (!matches(of, filter)) return;
      const key = JSON.stringify([of.service, of.operation, of.kind]);
      const group = groups.get(key);
      if (group === undefined) groups.set(key, { of, parts: [of.figures] });
      else group.parts.push(of.figures);
    };
    for (const operation of operations) include(operation);
    const result: PerformanceBaseline[] = [];
    for (const { of, parts } of groups.values()) {
      const chosen = chooseFigures(parts, atMs, this.#options.minSamples, this.time);
      if (chosen.stats.count > 0) result.push(baselineOf(of, chosen));
    }
    return result.sort((a, b) => b.count - a.count);
  }

  #create(facts: Observation, position: number, index: number): Operation {
    let { service } = facts.origin;
    let name = facts.operation;
    if (this.#all.length >= this.#options.maxOperations) {
      this.#overflowed += 1;
      service = other;
      name = other;
      const known = this.#services.get(service)?.get(name)?.[position];
      if (known !== undefined) return known;
    }
    // The bucket in which the first span falls is not whole, so judging begins with the next one.
    const created = new Operation(facts, name, service, index + 1, this.time);
    const operations = this.#services.get(service) ?? new Map<string, (Operation | undefined)[]>();
    const byKind = operations.get(name) ?? [];
    byKind[position] = created;
    operations.set(name, byKind);
    this.#services.set(service, operations);
    this.#all.push(created);
    return created;
  }

  /** Lets old figures fade, in small steps. */
  #forget(nowMs: number): void {
    const { halfLifeMs } = this.#options;
    const last = this.#lastDecayMs;
    if (last === undefined || nowMs < last) {
      this.#lastDecayMs = nowMs;
      return;
    }
    if (nowMs - last < halfLifeMs / 64) return;
    const factor = 0.5 ** ((nowMs - last) / halfLifeMs);
    this.#lastDecayMs = nowMs;
    for (const operation of this.#all) {
      operation.baseline.scale(factor);
      operation.firstMs += (1 - factor) * (operation.lastMs - operation.firstMs);
    }
  }

  /** Keeps the baselines within their bytes: the hours of the operations that are used least are folded first. */
  #fold(): void {
    const { maxBytes } = this.#options;
    let bytes = this.bytes;
    if (bytes <= maxBytes) return;
    for (const level of ['hour-of-week', 'hour-of-day'] as const) {
      const candidates = this.#all.filter(({ hours }) => hours.level === level && hours.bytes > 0);
      candidates.sort((a, b) => a.baseline.count - b.baseline.count);
      for (const { hours } of candidates) {
        // A little more than needed, so that not every roll has to fold.
        if (bytes <= maxBytes * 0.9) return;
        const before = hours.bytes;
        hours.fold(this.time);
        bytes += hours.bytes - before;
      }
    }
  }
}

function matches(operation: KnownOperation, filter: OperationFilter): boolean {
  return (
    (filter.service === undefined || filter.service === operation.service) &&
    (filter.operation === undefined || filter.operation === nameOf(operation, filter.operation)) &&
    (filter.kind === undefined || filter.kind === operation.kind)
  );
}

/** A metric is found by its name too, whatever its labels. */
function nameOf({ kind, operation }: KnownOperation, wanted: string): string {
  return kind === 'metric' && operation.startsWith(`${wanted}{`) ? wanted : operation;
}

function baselineOf(of: KnownOperation, chosen: ChosenFigures): PerformanceBaseline {
  const { stats, bucket, firstMs, lastMs, observedMs } = chosen;
  const { durationMs, moments } = stats;
  // Less than a second of observation says nothing about a rate, so the shortest window counts as one second.
  const seconds = Math.max(1, observedMs / 1_000);
  return {
    service: of.service,
    operation: of.operation,
    kind: of.kind,
    ...(of.labels === undefined ? {} : { labels: of.labels }),
    bucket,
    window: { from: new Date(firstMs), to: new Date(lastMs) },
    count: Math.round(stats.count),
    durationMs: {
      mean: moments.mean,
      standardDeviation: moments.standardDeviation,
      min: durationMs.min ?? 0,
      max: durationMs.max ?? 0,
      p50: durationMs.supportedQuantile(0.5),
      p95: durationMs.supportedQuantile(0.95),
      p99: durationMs.supportedQuantile(0.99),
    },
    errorShare: stats.count > 0 ? stats.errors / stats.count : 0,
    callsPerSecond: stats.count / seconds,
    relativeError: LatencySketch.relativeError,
  };
}
