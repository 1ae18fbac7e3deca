import type { AnomalyQuery, AnomalySignal, PerformanceAnomaly } from './anomaly.js';
import type { DetectorKind } from './detectors/detector.js';
import type { Operation } from './operation.js';
import { type OperationStats, pooled } from './operation-stats.js';
import { type EffectFloors, type Judgement, type Signal, signalsOf } from './signals.js';
import { isUsualForHour } from './usual-hour.js';

/** How anomalies are found and how long they last. */
export interface AnomalyTrackerOptions extends EffectFloors {
  readonly bucketMs: number;
  readonly detector: { readonly detector: DetectorKind; readonly sigma: number };
  readonly signals: readonly AnomalySignal[];
  /** Score from which on a stretch is unusual. */
  readonly threshold: number;
  /** Spans that must be learned before the first judgement. */
  readonly minSamples: number;
  readonly minDurationMs: number;
  readonly cooldownMs: number;
  /** An anomaly open for longer becomes the new normal. */
  readonly adoptAfterMs: number;
  readonly opened: (anomaly: PerformanceAnomaly) => void;
  readonly closed: (anomaly: PerformanceAnomaly) => void;
}

interface Watch {
  readonly signal: Signal;
  /** Start of the first bucket of the current unusual run. */
  unusualSinceMs: number | undefined;
  /** Start of the first bucket since which every stretch was odd enough not to be learned. */
  doubtedSinceMs: number | undefined;
  /** End of the last unusual bucket. */
  unusualUntilMs: number;
  calmBuckets: number;
  quietUntilMs: number;
  open: PerformanceAnomaly | undefined;
}

interface SettledBucket {
  readonly index: number;
  readonly stats: OperationStats;
}

/**
 * Share of the threshold from which on a stretch is not learned: three spreads. Trouble that begins below the threshold would
 * be part of what is usual when it reaches it.
 */
const doubtShare = 0.6;
/** Closed anomalies that are remembered. */
const maxRecent = 200;

/**
 * Opens and closes anomalies of operations.
 *
 * Each bucket is judged together with those of the last `minDurationMs`; an anomaly opens when every judgement of that
 * time was unusual and most single buckets agree, and closes after as long a calm. Buckets are learned when they leave
 * that window, unless an anomaly is open, so trouble never becomes part of what is usual.
 */
export class AnomalyTracker {
  readonly #options: AnomalyTrackerOptions;
  readonly #length: number;
  readonly #watches = new Map<Operation, Watch[]>();
  readonly #recent: PerformanceAnomaly[] = [];
  #sequence = 0;

  constructor(options: AnomalyTrackerOptions) {
    this.#options = options;
    this.#length = Math.max(1, Math.ceil(options.minDurationMs / options.bucketMs));
  }

  /** Takes one complete bucket of an operation into account. */
  judge(operation: Operation, index: number, stats: OperationStats): void {
    const watches = this.#watchesOf(operation);
    operation.window.push({ index, stats });
    const settled = operation.window.length > this.#length ? operation.window.shift() : undefined;
    if (settled !== undefined) this.#settle(operation, watches, settled, index * this.#options.bucketMs);
    if (!operation.judged || operation.baseline.evidence < this.#options.minSamples) return;
    const stretch = pooled(operation.window.map((bucket) => bucket.stats));
    for (const watch of watches) {
      if (!this.#options.signals.includes(watch.signal.name)) continue;
      this.#judgeSignal(operation, watch, index, stretch);
    }
  }

  /** Whether any anomaly of the operation is open. */
  isOpen(operation: Operation): boolean {
    return this.#watches.get(operation)?.some((watch) => watch.open !== undefined) === true;
  }

  /** Anomalies that match, newest first. */
  find(query: AnomalyQuery = {}): PerformanceAnomaly[] {
    const all = [...this.#recent, ...this.#open()];
    return all
      .filter(
        (anomaly) =>
          (query.service === undefined || query.service === anomaly.service) &&
          (query.operation === undefined || query.operation === anomaly.operation) &&
          (query.signal === undefined || query.signal === anomaly.signal) &&
          (query.open === undefined || query.open === (anomaly.closedAt === undefined)) &&
          (query.since === undefined || anomaly.closedAt === undefined || anomaly.closedAt >= query.since),
      )
      .sort((a, b) => b.openedAt.getTime() - a.openedAt.getTime());
  }

  *#open(): Iterable<PerformanceAnomaly> {
    for (const watches of this.#watches.values()) {
      for (const { open } of watches) if (open !== undefined) yield open;
    }
  }

  #watchesOf(operation: Operation): Watch[] {
    let watches = this.#watches.get(operation);
    if (watches === undefined) {
      const { bucketMs, detector } = this.#options;
      watches = signalsOf(operation, bucketMs, detector, this.#options).map((signal) => ({
        signal,
        unusualSinceMs: undefined,
        doubtedSinceMs: undefined,
        unusualUntilMs: 0,
        calmBuckets: 0,
        quietUntilMs: 0,
        open: undefined,
      }));
      this.#watches.set(operation, watches);
    }
    return watches;
  }

  /** A bucket left the window: it becomes part of what is usual, unless it belongs to an anomaly. */
  #settle(operation: Operation, watches: readonly Watch[], settled: SettledBucket, nowMs: number): void {
    // Suspicion is enough: trouble that is learned while it is still being judged would soon look usual. But a suspicion
    // that never comes to an anomaly is how things are, and must not end the learning for good.
    const suspected = (sinceMs: number | undefined): boolean =>
      sinceMs !== undefined && nowMs - sinceMs < this.#options.adoptAfterMs;
    if (watches.some((watch) => watch.open !== undefined || suspected(watch.unusualSinceMs ?? watch.doubtedSinceMs))) {
      // The time of the bucket is taken out of the baseline with its spans, so the rate stays true.
      operation.firstMs = Math.min(operation.lastMs, operation.firstMs + this.#options.bucketMs);
      return;
    }
    const { index, stats } = settled;
    for (const { signal } of watches) signal.learn(stats, index * this.#options.bucketMs);
    operation.learn(index, stats);
  }

  #judgeSignal(operation: Operation, watch: Watch, index: number, stretch: OperationStats): void {
    const { bucketMs, threshold, adoptAfterMs } = this.#options;
    const startMs = index * bucketMs;
    const found = watch.signal.judge(stretch, operation.window.length, startMs);
    const doubted = found !== undefined && found.score >= doubtShare * threshold;
    const judgement = doubted && !this.#isUsual(operation, found, startMs) ? found : undefined;
    if (judgement === undefined) watch.doubtedSinceMs = undefined;
    else watch.doubtedSinceMs ??= startMs;
    if (judgement !== undefined && judgement.score >= threshold) {
      watch.unusualSinceMs ??= startMs;
      watch.unusualUntilMs = startMs + bucketMs;
      watch.calmBuckets = 0;
      if (watch.open === undefined) this.#openIfLasting(operation, watch, judgement, startMs, stretch);
      else if (startMs - watch.open.openedAt.getTime() >= adoptAfterMs) this.#adopt(operation, watch);
      return;
    }
    watch.calmBuckets += 1;
    // Chance makes one stretch of a long run look usual; it does not end the run.
    if (watch.open === undefined && watch.calmBuckets > this.#length / 4) watch.unusualSinceMs = undefined;
    else if (watch.open !== undefined && watch.calmBuckets >= this.#length) this.#close(watch);
  }

  #isUsual(operation: Operation, judgement: Judgement, startMs: number): boolean {
    return isUsualForHour(operation, judgement, startMs, this.#options.minSamples, this.#options);
  }

  #openIfLasting(
    operation: Operation,
    watch: Watch,
    judgement: Judgement,
    startMs: number,
    stretch: OperationStats,
  ): void {
    const { bucketMs, minDurationMs } = this.#options;
    const sinceMs = watch.unusualSinceMs ?? startMs;
    if (startMs + bucketMs - sinceMs < minDurationMs || startMs < watch.quietUntilMs) return;
    // Rare failures leave some buckets without one; everything else shows in most of them.
    const rare = watch.signal.name === 'errors' && stretch.errors < 3 * this.#length;
    const needed = Math.ceil(this.#length * (rare ? 1 / 3 : 2 / 3));
    const agreeing = operation.window.filter(({ stats }) => watch.signal.agrees(stats, judgement)).length;
    if (agreeing < Math.max(Math.min(2, this.#length), needed)) return;
    this.#sequence += 1;
    const anomaly: PerformanceAnomaly = {
      id: `${Math.round(sinceMs)}-${this.#sequence}`,
      service: operation.service,
      operation: operation.name,
      kind: operation.kind,
      signal: watch.signal.name,
      statistic: judgement.statistic,
      detector: this.#options.detector.detector,
      openedAt: new Date(sinceMs),
      observed: judgement.observed,
      expected: judgement.expected,
      score: judgement.score,
      severity: judgement.score >= 1 ? 'critical' : 'warning',
      traceIds: examples(operation, watch.signal.name),
    };
    watch.open = anomaly;
    this.#options.opened(anomaly);
  }

  #close(watch: Watch): void {
    if (watch.open === undefined) return;
    const anomaly: PerformanceAnomaly = { ...watch.open, closedAt: new Date(watch.unusualUntilMs) };
    watch.open = undefined;
    watch.unusualSinceMs = undefined;
    watch.quietUntilMs = watch.unusualUntilMs + this.#options.cooldownMs;
    this.#recent.push(anomaly);
    if (this.#recent.length > maxRecent) this.#recent.shift();
    this.#options.closed(anomaly);
  }

  /** What has lasted this long is how things are now: close, and learn the operation anew. */
  #adopt(operation: Operation, watch: Watch): void {
    this.#close(watch);
    operation.relearn();
    for (const other of this.#watches.get(operation) ?? []) this.#close(other);
    this.#watches.delete(operation);
  }
}

function examples(operation: Operation, signal: AnomalySignal): string[] {
  const ids = new Set<string>();
  for (const { stats } of operation.window.toReversed()) {
    if (signal === 'errors') for (const id of stats.failedTraceIds) ids.add(id);
    else if (signal === 'duration' && stats.slowestTraceId !== '') ids.add(stats.slowestTraceId);
  }
  return [...ids].slice(0, 5);
}
