import { uncertainMs } from './change-time.js';
import type { MetricPoint, MetricRole, MetricSeries } from './inputs.js';
import { medianDeviation, sortedQuantile } from './quantiles.js';

/** How one series behaves after a time, compared with before. */
export interface MetricShift {
  readonly series: MetricSeries;
  /** Median before; 0, or the best there is, for a series that is new. */
  readonly usual: number;
  /** Spread before, never less than a share of what is usual. */
  readonly scale: number;
  /** The whole of a share: 1, or 100 for percentages. */
  readonly whole: number;
  readonly after: readonly MetricPoint[];
  readonly isNew: boolean;
}

/** Smallest spread as a share of what is usual, by role: a flat series would make everything an anomaly. */
const spreadFloors: Readonly<Record<MetricRole, number>> = {
  latency: 0.05,
  success: 0.005,
  failures: 0.05,
  usage: 0.1,
  traffic: 0.1,
};
/** How long after the time a series is looked at: at least this, and at least so many steps. */
const afterMs = 240_000;
const afterSteps = 3;
/** Newest points before the time that count, and points below which nothing is usual. */
const maxBefore = 1_000;
const maxAfter = 1_000;
const minBefore = 5;
/** Gaps between values that say how far they are apart. */
const maxGaps = 20;
/** What one value in fifty reaches counts as so many spreads, whatever the middle says: many series have long tails. */
const rareShare = 0.98;
const rareSpreads = 2.05;

/** Splits a series at a time that may be off a little. `undefined` when there is nothing to compare. */
export function shiftOf(series: MetricSeries, atMs: number): MetricShift | undefined {
  const stepMs = stepOf(series.points);
  const { after, values } = partedAt(series.points, atMs, stepMs);
  if (after.length === 0) return undefined;
  let largest = values.at(-1) ?? 0;
  for (const { value } of after) largest = Math.max(largest, value);
  const whole = largest > 1 ? 100 : 1;
  if (values.length < minBefore) {
    if (values.length > 0) return undefined;
    const usual = series.role === 'success' ? whole : 0;
    return { series, usual, scale: 0, whole, after, isNew: true };
  }
  const usual = sortedQuantile(values, 0.5);
  const range = sortedQuantile(values, 0.75) - sortedQuantile(values, 0.25);
  const rare = sortedQuantile(values, series.role === 'success' ? 1 - rareShare : rareShare);
  const floor = spreadFloors[series.role] * (series.role === 'success' ? whole : Math.abs(usual));
  const scale = Math.max(
    1.4826 * medianDeviation(values, usual),
    range / 1.349,
    Math.abs(rare - usual) / rareSpreads,
    floor,
  );
  return { series, usual, scale, whole, after, isNew: false };
}

/** What is surely before a time, in rising order of the values, and what may be after it. */
function partedAt(
  points: readonly MetricPoint[],
  atMs: number,
  stepMs: number,
): { readonly values: Float64Array; readonly after: readonly MetricPoint[] } {
  const horizon = atMs + Math.max(afterMs, afterSteps * stepMs);
  // A value stands for the whole of its step, so the one before the time may have seen the trouble.
  const sinceMs = atMs - stepMs;
  const untilMs = sinceMs - Math.min(stepMs, uncertainMs);
  const before = new Float64Array(points.length);
  let count = 0;
  const after: MetricPoint[] = [];
  for (const point of points) {
    const { atMs: at, value } = point;
    if (!isKnown(point)) continue;
    if (at <= untilMs) before[count++] = value;
    else if (at > sinceMs && at < horizon && after.length < maxAfter) after.push(point);
  }
  const values = before.subarray(Math.max(0, count - maxBefore), count);
  return { after, values: after.length === 0 ? values : values.sort() };
}

/** Nothing that is measured is larger: sums and products of such values would not be finite. */
const maxValue = 1e150;

function isKnown({ atMs, value }: MetricPoint): boolean {
  return Math.abs(value) <= maxValue && Number.isFinite(atMs);
}

/** Spreads above the usual (below it, for a share of success) that a value is; a new series counts by being there. */
export function deviationOf({ series, usual, scale, isNew }: MetricShift, value: number): number {
  const worse = series.role === 'success' ? usual - value : value - usual;
  if (isNew) return worse > 0 ? newDeviation : 0;
  return scale > 0 ? worse / scale : worse > 0 ? newDeviation : 0;
}

/** What a series that was not there before counts as: clear, but less than what is known to have changed much. */
const newDeviation = 5;

/** Time between two of the newest values. */
function stepOf(points: readonly MetricPoint[]): number {
  const gaps: number[] = [];
  let laterMs: number | undefined;
  for (let i = points.length - 1; i >= 0 && gaps.length < maxGaps; i -= 1) {
    const point = points[i] as MetricPoint;
    if (!isKnown(point)) continue;
    if (laterMs !== undefined) gaps.push(laterMs - point.atMs);
    laterMs = point.atMs;
  }
  gaps.sort((a, b) => a - b);
  return gaps.length === 0 ? 60_000 : Math.max(1_000, gaps[gaps.length >> 1] ?? 0);
}
