import { mean, quantileSorted, sampleVariance } from 'simple-statistics';
import type { Happening, Place, Profile } from './profile.js';

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
  /** The place in both windows; absent for structure. */
  readonly normal: Place | undefined;
  readonly faulty: Place | undefined;
  /** Key of the place in a profile; absent where there is none. */
  readonly place?: string;
  /** What is called, written or thrown more or less often, with when it did and did not happen. */
  readonly happening?: {
    readonly what: string;
    readonly kind: Happening['kind'];
    readonly run: string;
    readonly key: string;
  };
  readonly traceIds?: readonly string[];
  /** Name of the metric that changed. */
  readonly metric?: string;
}

/** Standard errors that a change must be away from chance. */
const certainty = 4;
/** Smallest change of time: share of a whole trace, ratio to what the place took before, and milliseconds. */
const minTraceShare = 0.05;
const minRatio = 1.25;
const minMs = 0.5;
/** Smallest rise of failures per trace. */
const minFailures = 0.004;
/** Calls of a kind of run, below which its structure says nothing. */
const minRuns = 10;

/** Places that take longer in the faulty window than chance explains. */
export function slowerPlaces(normal: Profile, faulty: Profile): Change[] {
  const changes: Change[] = [];
  for (const [key, after] of faulty.places) {
    const before = normal.places.get(key);
    const now = timesOf(after);
    const then = before === undefined ? undefined : timesOf(before);
    // A place that is new says something only below work that was there before: other requests are no fault.
    if (then === undefined && (normal.runs.get(after.under ?? '')?.at.length ?? 0) < minRuns) continue;
    const longerMs = then === undefined ? mean(now) : increaseOf(then, now);
    const perTrace = (longerMs * now.length) / faulty.traces;
    if (perTrace < Math.max(minMs, minTraceShare * normal.traceMs)) continue;
    changes.push({
      ...after,
      signal: after.kind,
      before: then === undefined ? 0 : quantileSorted(then, 0.9),
      after: quantileSorted(now, 0.9),
      perTrace,
      normal: before,
      faulty: after,
      place: key,
    });
  }
  return changes;
}

/** Places where more failures begin than chance explains. */
export function failingPlaces(normal: Profile, faulty: Profile): Change[] {
  const changes: Change[] = [];
  for (const [key, after] of faulty.places) {
    const before = normal.places.get(key);
    const [failedNow, failedThen] = [failures(after), before === undefined ? 0 : failures(before)];
    const perTrace = failedNow / faulty.traces - failedThen / normal.traces;
    if (failedNow < 3 || perTrace < minFailures) continue;
    const [callsNow, callsThen] = [after.samples.length, before?.samples.length ?? 0];
    const pooledShare = (failedNow + failedThen) / (callsNow + callsThen);
    const error = Math.sqrt(pooledShare * (1 - pooledShare) * (1 / callsNow + 1 / Math.max(1, callsThen)));
    const difference = failedNow / callsNow - failedThen / Math.max(1, callsThen);
    if (callsThen > 0 && difference < (certainty - 1) * error) continue;
    changes.push({
      ...after,
      signal: 'errors',
      before: failedThen / Math.max(1, callsThen),
      after: failedNow / callsNow,
      perTrace,
      normal: before,
      faulty: after,
      place: key,
    });
  }
  return changes;
}

/**
 * Milliseconds by which the mean rose, 0 when chance explains it: Welch's comparison, with the longest half percent cut
 * to the rest so that one outlier decides nothing.
 */
function increaseOf(then: number[], now: number[]): number {
  const cap = Math.max(quantileSorted(then, 0.995), quantileSorted(now, 0.995));
  const before = then.map((value) => Math.min(cap, value));
  const after = now.map((value) => Math.min(cap, value));
  const difference = mean(after) - mean(before);
  if (difference <= 0 || mean(after) < minRatio * mean(before)) return 0;
  const error = Math.sqrt(varianceOf(before) / before.length + varianceOf(after) / after.length);
  return difference >= certainty * error ? difference : 0;
}

function varianceOf(values: number[]): number {
  // One value says nothing about its spread; its own size is a cautious stand-in.
  return values.length > 1 ? sampleVariance(values) : (values[0] ?? 0) ** 2;
}

function timesOf(place: Place): number[] {
  return place.samples.map((sample) => sample.ms).sort((a, b) => a - b);
}

function failures(place: Place): number {
  let count = 0;
  for (const sample of place.samples) if (sample.failed) count += 1;
  return count;
}
