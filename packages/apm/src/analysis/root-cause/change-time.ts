import type { Change } from './compare.js';
import { noiseMs } from './moments.js';
import type { Profile } from './profile.js';
import { quantileOf } from './quantiles.js';

/** How far the time that trouble is said to begin at may be off, in milliseconds. */
export const uncertainMs = 75_000;

/** Changes that are followed, and points on either side below which no time is found. */
const maxFollowed = 8;
const minPoints = 3;
/** Standard errors that the two sides of the time found must be apart. */
const certainty = 3;
const certaintyBefore = 4;

interface Point {
  readonly atMs: number;
  /** How much it looks like the trouble, 0 to 1. */
  readonly value: number;
  readonly weight: number;
  /** How many it stands for. */
  readonly count: number;
}

/**
 * When what changed began to change, within {@link uncertainMs} of the time given; `undefined` when no time stands out.
 * The runs of the whole stretch are put in order, and the time is the one whose two sides differ most.
 */
export function changeTime(changes: readonly Change[], during: Profile, atMs: number): number | undefined {
  const followed = changes.toSorted((a, b) => b.perTrace - a.perTrace).slice(0, maxFollowed);
  const points = followed
    .flatMap((change) => pointsOf(change, during))
    .filter((point) => Math.abs(point.atMs - atMs) <= 3 * uncertainMs)
    .sort((a, b) => a.atMs - b.atMs);
  // Trouble often gets worse in a second step: the first one that is clear is when it began.
  let found: number | undefined;
  for (let end = points.length; end > 0; ) {
    const split = clearestSplit(points.slice(0, end), atMs, found === undefined ? certainty : certaintyBefore);
    if (split === undefined) break;
    found = points[split]?.atMs;
    end = split;
  }
  return found;
}

/** Index of the point from which on a stretch differs most from what is before it. */
function clearestSplit(points: readonly Point[], atMs: number, least: number): number | undefined {
  const all = sumsOf(points);
  if (all.weight === 0) return undefined;
  const spread = Math.sqrt(Math.max(1e-4, all.squares / all.weight - (all.values / all.weight) ** 2));
  let [best, bestIndex] = [least, undefined as number | undefined];
  // Points that stand for many say less than so many points would (Kish); 1 where each stands for one.
  const independence = all.counts / all.countSquares;
  let [weight, values, counts] = [0, 0, 0];
  points.forEach((point, index) => {
    const hasPoints = index >= minPoints && index <= points.length - minPoints;
    if (hasPoints && Math.abs(point.atMs - atMs) <= uncertainMs && point.atMs > (points[index - 1]?.atMs ?? 0)) {
      const [left, right] = [values / weight, (all.values - values) / (all.weight - weight)];
      const size = (counts * (all.counts - counts)) / all.counts;
      const apart = ((right - left) / spread) * Math.sqrt(size * independence);
      if (apart > best) [best, bestIndex] = [apart, index];
    }
    weight += point.weight;
    values += point.weight * point.value;
    counts += point.count;
  });
  return bestIndex;
}

function sumsOf(points: readonly Point[]): {
  weight: number;
  values: number;
  squares: number;
  counts: number;
  countSquares: number;
} {
  const sums = { weight: 0, values: 0, squares: 0, counts: 0, countSquares: 0 };
  for (const { weight, value, count } of points) {
    sums.weight += weight;
    sums.values += weight * value;
    sums.squares += weight * value * value;
    sums.counts += count;
    sums.countSquares += count ** 2;
  }
  return sums;
}

function pointsOf(change: Change, during: Profile): Point[] {
  const { happening, place, signal, perTrace } = change;
  if (happening !== undefined) {
    const isMore = change.after > change.before;
    const { at, counts } = happening.run;
    const values: Omit<Point, 'weight'>[] = [];
    during.eachRun(happening, (run, has) => {
      values.push({ atMs: at[run] ?? 0, value: Number(has === isMore), count: counts[run] ?? 1 });
    });
    return weighed(values, perTrace);
  }
  const samples = place === undefined ? [] : during.samplesOf(place);
  const usual = Math.log(quantileOf(change.then ?? [], 0.5) + noiseMs);
  const unusual = Math.max(usual + 0.2, Math.log(change.after + noiseMs));
  const values = samples.map(({ startMs, ms, failed, count }) => ({
    atMs: startMs,
    value:
      signal === 'errors'
        ? Number(failed)
        : Math.min(1, Math.max(0, (Math.log(ms + noiseMs) - usual) / (unusual - usual))),
    count,
  }));
  return weighed(values, perTrace);
}

/** Shares what a change weighs out, to each as many as it stands for. */
function weighed(values: readonly Omit<Point, 'weight'>[], weight: number): Point[] {
  const all = values.reduce((sum, { count }) => sum + count, 0);
  return values.map(({ atMs, value, count }) => ({ atMs, value, weight: (weight / Math.max(1, all)) * count, count }));
}
