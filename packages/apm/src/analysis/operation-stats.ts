import { LatencySketch } from './latency-sketch.js';
import { RunningMoments } from './running-moments.js';

/** Trace ids kept of one bucket as examples. */
const exemplarLimit = 3;

/** Durations and failures of the spans of one operation over some time. */
export class OperationStats {
  count = 0;
  errors = 0;
  readonly durationMs: LatencySketch = new LatencySketch();
  readonly moments: RunningMoments = new RunningMoments();
  /** Trace of the slowest span, empty without one, and of the first failed ones. */
  slowestTraceId = '';
  readonly failedTraceIds: string[] = [];
  #slowestMs = -1;
  #squares = 0;

  /**
   * Spans that would say as much if each stood for itself alone: a few that stand for many say less than many
   * (Kish's effective sample size). Never above `count`, and equal to it when every span stands for itself.
   */
  get evidence(): number {
    return this.#squares > 0 ? Math.min(this.count, (this.count * this.count) / this.#squares) : this.count;
  }

  /** @param count - How many spans this one stands for. */
  add(durationMs: number, error: boolean, traceId: string, count = 1): void {
    this.count += count;
    this.#squares += count * count;
    this.durationMs.add(durationMs, count);
    this.moments.add(durationMs, count);
    if (durationMs > this.#slowestMs) {
      this.#slowestMs = durationMs;
      this.slowestTraceId = traceId;
    }
    if (!error) return;
    this.errors += count;
    if (this.failedTraceIds.length < exemplarLimit) this.failedTraceIds.push(traceId);
  }

  merge(other: OperationStats): void {
    this.count += other.count;
    this.#squares += other.#squares;
    this.errors += other.errors;
    this.durationMs.merge(other.durationMs);
    this.moments.merge(other.moments);
  }

  scale(factor: number): void {
    this.count *= factor;
    this.#squares *= factor;
    this.errors *= factor;
    this.durationMs.scale(factor);
    this.moments.scale(factor);
  }
}

/** The sum of several stats; the parts stay as they are. */
export function pooled(parts: Iterable<OperationStats>): OperationStats {
  const sum = new OperationStats();
  for (const part of parts) sum.merge(part);
  return sum;
}
