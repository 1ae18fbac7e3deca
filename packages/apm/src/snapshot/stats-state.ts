import { HourCell } from '../analysis/hourly-stats.js';
import { LatencySketch, type LatencySketchState } from '../analysis/latency-sketch.js';
import { OperationStats } from '../analysis/operation-stats.js';
import { RunningMoments } from '../analysis/running-moments.js';
import { asNumber, flagAt, innerAt, invalid, listAt, numberAt } from './fields.js';

/** Durations and failures of some spans. */
export interface StatsState {
  readonly count: number;
  readonly errors: number;
  readonly mean: number;
  /** Sum of the squared distances from the mean. */
  readonly squares: number;
  readonly sketch: LatencySketchState;
}

/** One hour of the week or of the day. */
export interface CellState {
  /** 0 to 167 from Monday, or 0 to 23; UTC. */
  readonly hour: number;
  readonly firstMs: number;
  readonly lastMs: number;
  readonly observedMs: number;
  /** Hours since the epoch. */
  readonly newestHour: number;
  readonly recurred: boolean;
  readonly stats: StatsState;
}

const anyNumber = Number.NEGATIVE_INFINITY;

export function statsState(stats: OperationStats): StatsState {
  const { count, errors, moments, durationMs } = stats;
  return { count, errors, mean: moments.mean, squares: moments.squares, sketch: durationMs.toJSON() };
}

export function cellState(hour: number, cell: HourCell): CellState {
  const { firstMs, lastMs, observedMs, newestHour, recurred, stats } = cell;
  return { hour, firstMs, lastMs, observedMs, newestHour, recurred, stats: statsState(stats) };
}

/** @throws {MnopsError} `MNOPS_APM_SNAPSHOT_INVALID` with the field that is wrong. */
export function readStats(from: Readonly<Record<string, unknown>>, field: string): OperationStats {
  const stats = new OperationStats();
  stats.count = numberAt(from, 'count', field);
  stats.errors = numberAt(from, 'errors', field);
  if (stats.errors > stats.count) throw invalid(`${field}.errors`, 'at most count');
  const sketch = readSketch(innerAt(from, 'sketch', field), `${field}.sketch`);
  stats.durationMs.merge(sketch);
  const mean = numberAt(from, 'mean', field, anyNumber);
  stats.moments.merge(RunningMoments.of(sketch.count, mean, numberAt(from, 'squares', field)));
  return stats;
}

/** @throws {MnopsError} `MNOPS_APM_SNAPSHOT_INVALID` with the field that is wrong. */
export function readSketch(from: Readonly<Record<string, unknown>>, field: string): LatencySketch {
  const count = numberAt(from, 'count', field);
  const buckets = listAt(from, 'buckets', field, 2 * LatencySketch.bucketCount);
  const zeroes = numberAt(from, 'zeroes', field);
  let sum = zeroes;
  let before = -1;
  for (let i = 0; i < buckets.length; i += 2) {
    const index = asNumber(buckets[i], `${field}.buckets[${i}]`);
    if (!Number.isInteger(index) || index <= before || index >= LatencySketch.bucketCount) {
      throw invalid(`${field}.buckets[${i}]`, 'the number of a bucket, above the one before');
    }
    before = index;
    sum += asNumber(buckets[i + 1], `${field}.buckets[${i + 1}]`);
  }
  // Forgetting rounds each count by itself.
  if (Math.abs(sum - count) > 1e-6 * (1 + count)) throw invalid(`${field}.count`, 'the sum of the buckets');
  const min = numberAt(from, 'min', field, anyNumber);
  const max = numberAt(from, 'max', field, anyNumber);
  if (min > max) throw invalid(`${field}.min`, 'at most max');
  const state = { count, zeroes, sum: numberAt(from, 'sum', field, anyNumber), min, max, buckets: buckets as number[] };
  return LatencySketch.restored(state);
}

/** @throws {MnopsError} `MNOPS_APM_SNAPSHOT_INVALID` with the field that is wrong. */
export function readCell(
  from: Readonly<Record<string, unknown>>,
  field: string,
  hours: number,
  nowMs: number,
): { readonly hour: number; readonly cell: HourCell } {
  const hour = numberAt(from, 'hour', field);
  if (!Number.isInteger(hour) || hour >= hours) throw invalid(`${field}.hour`, `a whole number below ${hours}`);
  const cell = new HourCell(nowMs);
  cell.firstMs = numberAt(from, 'firstMs', field, anyNumber);
  cell.lastMs = numberAt(from, 'lastMs', field, anyNumber);
  cell.observedMs = numberAt(from, 'observedMs', field);
  cell.newestHour = numberAt(from, 'newestHour', field, anyNumber);
  cell.recurred = flagAt(from, 'recurred', field);
  cell.stats.merge(readStats(innerAt(from, 'stats', field), `${field}.stats`));
  return { hour, cell };
}
