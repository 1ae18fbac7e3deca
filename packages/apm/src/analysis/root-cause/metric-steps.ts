import { medianSorted, quantileSorted } from 'simple-statistics';
import { uncertainMs } from './change-time.js';
import type { MetricPoint, MetricRole, MetricSeries } from './inputs.js';

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
/** What one value in fifty reaches counts as so many spreads, whatever the middle says: many series have long tails. */
const rareShare = 0.98;
const rareSpreads = 2.05;

/** Splits a series at a time that may be off a little. `undefined` when there is nothing to compare. */
export function shiftOf(series: MetricSeries, atMs: number): MetricShift | undefined {
  const points = series.points.filter(({ atMs: at, value }) => Number.isFinite(value) && Number.isFinite(at));
  const stepMs = stepOf(points);
  const horizon = atMs + Math.max(afterMs, afterSteps * stepMs);
  // A value stands for the whole of its step, so the one before the time may have seen the trouble.
  const after = points.filter((point) => point.atMs > atMs - stepMs && point.atMs < horizon).slice(0, maxAfter);
  if (after.length === 0) return undefined;
  const until = atMs - stepMs - Math.min(stepMs, uncertainMs);
  const before = points.filter((point) => point.atMs <= until).map(({ value }) => value);
  const values = sorted(before.slice(-maxBefore));
  const whole = Math.max(values.at(-1) ?? 0, ...after.map(({ value }) => value)) > 1 ? 100 : 1;
  if (values.length < minBefore) {
    if (values.length > 0) return undefined;
    const usual = series.role === 'success' ? whole : 0;
    return { series, usual, scale: 0, whole, after, isNew: true };
  }
  const usual = medianSorted(values);
  const deviations = sorted(values.map((value) => Math.abs(value - usual)));
  const range = quantileSorted(values, 0.75) - quantileSorted(values, 0.25);
  const rare = quantileSorted(values, series.role === 'success' ? 1 - rareShare : rareShare);
  const floor = spreadFloors[series.role] * (series.role === 'success' ? whole : Math.abs(usual));
  const scale = Math.max(1.4826 * medianSorted(deviations), range / 1.349, Math.abs(rare - usual) / rareSpreads, floor);
  return { series, usual, scale, whole, after, isNew: false };
}

/** Spreads above the usual (below it, for a share of success) that a value is; a new series counts by being there. */
export function deviationOf({ series, usual, scale, isNew }: MetricShift, value: number): number {
  const worse = series.role === 'success' ? usual - value : value - usual;
  if (isNew) return worse > 0 ? newDeviation : 0;
  return scale > 0 ? worse / scale : worse > 0 ? newDeviation : 0;
}

/** What a series that was not there before counts as: clear, but less than what is known to have changed much. */
const newDeviation = 5;

/** Numbers in order; a typed array sorts them several times faster than a comparing function. */
function sorted(values: readonly number[]): number[] {
  return Array.from(Float64Array.from(values).sort());
}

function stepOf(points: readonly MetricPoint[]): number {
  const gaps: number[] = [];
  for (let i = Math.max(1, points.length - 20); i < points.length; i += 1) {
    gaps.push((points[i]?.atMs ?? 0) - (points[i - 1]?.atMs ?? 0));
  }
  gaps.sort((a, b) => a - b);
  return gaps.length === 0 ? 60_000 : Math.max(1_000, gaps[gaps.length >> 1] ?? 0);
}
