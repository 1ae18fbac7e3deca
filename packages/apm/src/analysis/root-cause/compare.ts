import { median } from 'simple-statistics';
import { certaintyOf, deviationOfShares, normalDeviation } from './likelihood.js';
import type { Moments } from './moments.js';
import type { Profile } from './profile.js';
import { quantileOf } from './quantiles.js';
import type { Happening, Place, Sample } from './recording.js';

/** A change of one place between two windows, in the terms that evidence is given in. */
export interface Change {
  readonly signal: 'self-time' | 'edge-gap' | 'errors' | 'structure' | 'log' | 'metric';
  readonly service: string;
  readonly operation: string;
  readonly caller: string | undefined;
  /** P90 in milliseconds, share of failed calls, or calls per run. */
  readonly before: number;
  readonly after: number;
  /** What it adds to one trace: milliseconds, failures, or calls more or less. */
  readonly perTrace: number;
  /** The samples of the place in both windows; absent where there is no place. */
  readonly then?: readonly Sample[];
  readonly now?: readonly Sample[];
  readonly place?: Place;
  /** What is called, written or thrown more or less often. */
  readonly happening?: Happening;
  readonly traceIds?: readonly string[];
  /** Name of the metric that changed. */
  readonly metric?: string;
}

/** Smallest change of time: share of a whole trace, ratio to what the place took before, and milliseconds. */
const minTraceShare = 0.05;
const minRatio = 1.25;
const minMs = 0.5;
/** Smallest rise of failures per trace. */
const minFailures = 0.004;
/** Runs of the caller before, below which a place that is new says nothing. */
const minRuns = 10;
/** Traces that show a change, below which it may be one odd request. */
const minShown = 3;
/** How many values of its own the usual spread of all places counts as, where a place has few. */
const borrowed = 4;
/** Variance of logarithms at least: nothing is as steady as few values may seem. */
export const minVariance = 0.01;

interface Compared {
  readonly place: Place;
  readonly before: Moments;
  readonly after: Moments;
}

/**
 * Places that take longer in the faulty window than chance explains. `lenience` lowers what counts as chance: with 0.5 half
 * the deviation is enough.
 */
export function slowerPlaces(normal: Profile, faulty: Profile, lenience = 1): Change[] {
  const compared: Compared[] = [];
  for (const place of faulty.recording.places) {
    const after = faulty.momentsOf(place);
    if (after.traces > 0) compared.push({ place, before: normal.momentsOf(place), after });
  }
  const deviations = deviationsOf(compared);
  const certainty = lenience * certaintyOf(compared.length);
  const changes: Change[] = [];
  for (const { place, before, after } of compared) {
    if (after.traces < minShown) continue;
    // A place that is new says something only below work that was there before: other requests are no fault.
    if (before.traces === 0 && (place.under === undefined || normal.countOf(place.under).runs < minRuns)) continue;
    const [meanThen, meanNow] = [before.milliseconds / Math.max(1, before.weight), after.milliseconds / after.weight];
    const perTrace = ((meanNow - meanThen) * after.weight) / faulty.weight;
    if (perTrace < Math.max(minMs, minTraceShare * normal.traceMs) || meanNow < minRatio * meanThen) continue;
    if ((deviations.get(place) ?? certainty) < certainty) continue;
    const [then, now] = [normal.samplesOf(place), faulty.samplesOf(place)];
    changes.push({
      ...whereOf(place),
      signal: place.kind,
      before: quantileOf(then, 0.9),
      after: quantileOf(now, 0.9),
      perTrace,
      then,
      now,
      place,
    });
  }
  return changes;
}

/** Places below which none of them is the weather. */
const minPlaces = 20;

/**
 * How far each place that was there before is from chance, in standard errors. Where most places are slower, such as on a
 * busy machine, that is the weather: what they have in common says nothing about any of them.
 */
function deviationsOf(compared: readonly Compared[]): Map<Place, number> {
  const spreads = compared.flatMap(({ before }) => (before.traces >= minShown ? [before.variance] : []));
  const usual = Math.max(minVariance, spreads.length === 0 ? minVariance : median(spreads));
  const known = compared.filter(({ before }) => before.traces > 0);
  const deviations = new Map(known.map(({ place, before, after }) => [place, deviationOfMeans(before, after, usual)]));
  const often = known.filter(({ before, after }) => Math.min(before.traces, after.traces) >= minShown);
  if (often.length < minPlaces) return deviations;
  const common = Math.max(0, median(often.map(({ place }) => deviations.get(place) ?? 0)));
  return new Map([...deviations].map(([place, value]) => [place, value - common]));
}

/**
 * Standard errors that two means of logarithms are apart: Welch's comparison, where each spread borrows from the usual
 * one of all places as far as the place itself has few values.
 */
export function deviationOfMeans(before: Moments, after: Moments, usual: number): number {
  const [errorThen, errorNow] = [squaredErrorOf(before, usual), squaredErrorOf(after, usual)];
  const [freedomThen, freedomNow] = [before.independent - 1 + borrowed, after.independent - 1 + borrowed];
  const freedom = (errorThen + errorNow) ** 2 / (errorThen ** 2 / freedomThen + errorNow ** 2 / freedomNow);
  return normalDeviation((after.mean - before.mean) / Math.sqrt(errorThen + errorNow), freedom);
}

function squaredErrorOf({ independent, effective, squaredError }: Moments, usual: number): number {
  const own = Math.max(0, independent - 1);
  return (borrowed * (usual / effective) + own * squaredError) / (borrowed + own);
}

/** Places where more failures begin than chance explains. */
export function failingPlaces(normal: Profile, faulty: Profile, lenience = 1): Change[] {
  const failing = faulty.recording.places.flatMap((place) => {
    if (place.failures < minShown) return [];
    const now = faulty.samplesOf(place);
    const failed = now.reduce((count, sample) => count + Number(sample.failed), 0);
    return failed < minShown ? [] : [{ place, now }];
  });
  const certainty = lenience * certaintyOf(failing.length);
  const changes: Change[] = [];
  for (const { place, now } of failing) {
    const then = normal.samplesOf(place);
    const [after, before] = [failuresOf(now), failuresOf(then)];
    const perTrace = after.failed / faulty.weight - before.failed / Math.max(1, normal.weight);
    if (perTrace < minFailures || after.share <= before.share) continue;
    const apart = deviationOfShares(
      before.share * before.independent,
      Math.max(1, before.independent),
      after.share * after.independent,
      after.independent,
    );
    if (then.length > 0 && apart < certainty) continue;
    changes.push({
      ...whereOf(place),
      signal: 'errors',
      before: before.share,
      after: after.share,
      perTrace,
      then,
      now,
      place,
    });
  }
  return changes;
}

function failuresOf(samples: readonly Sample[]): { failed: number; share: number; independent: number } {
  let [weight, squares, failed, traces, last] = [0, 0, 0, 0, -1];
  for (const sample of samples) {
    weight += sample.count;
    squares += sample.count * sample.count;
    if (sample.failed) failed += sample.count;
    if (sample.trace !== last) traces += 1;
    last = sample.trace;
  }
  if (weight === 0) return { failed: 0, share: 0, independent: 0 };
  return { failed, share: failed / weight, independent: ((weight * weight) / squares) * (traces / samples.length) };
}

function whereOf({ service, operation, caller }: Place): Pick<Change, 'service' | 'operation' | 'caller'> {
  return { service, operation, caller };
}
