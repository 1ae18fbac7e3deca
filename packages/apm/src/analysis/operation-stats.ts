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

  add(durationMs: number, error: boolean, traceId: string): void {
    this.count += 1;
    this.durationMs.add(durationMs);
    this.moments.add(durationMs);
    if (durationMs > this.#slowestMs) {
      this.#slowestMs = durationMs;
      this.slowestTraceId = traceId;
    }
    if (!error) return;
    this.errors += 1;
    if (this.failedTraceIds.length < exemplarLimit) this.failedTraceIds.push(traceId);
  }

  merge(other: OperationStats): void {
    this.count += other.count;
    this.errors += other.errors;
    this.durationMs.merge(other.durationMs);
    this.moments.merge(other.moments);
  }

  scale(factor: number): void {
    this.count *= factor;
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
