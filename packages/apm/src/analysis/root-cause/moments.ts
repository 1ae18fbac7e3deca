import type { Sample } from './recording.js';

/**
 * What the samples of one place amount to, one value for each trace: spans of one trace share its fate, so they are not
 * independent of each other.
 */
export interface Moments {
  readonly traces: number;
  /** Mean of the logarithms: times vary by factors, and one outlier decides nothing. */
  readonly mean: number;
  /** Variance of a single value. */
  readonly variance: number;
  /** How many values of equal weight would say as much as these. */
  readonly effective: number;
  /** Square of the standard error of the mean, and how many independent values it rests on. */
  readonly squaredError: number;
  readonly independent: number;
  /** Sum of all times, each as often as it stands for, with the longest trace cut to the second longest. */
  readonly milliseconds: number;
  /** How many spans they stand for. */
  readonly weight: number;
}

/**
 * Traces of one moment share the weather: a full disk, a collection of garbage, a busy neighbour. How long a moment is at
 * most, in milliseconds, and how many there are at least in what is looked at.
 */
const momentMs = 5_000;
const minMoments = 12;

/** How long a moment is in what lasted from one time to another, in milliseconds. */
export function momentLength(fromMs: number, toMs: number): number {
  return Math.min(momentMs, (toMs - fromMs) / minMoments);
}

/** Times below this are noise of clocks: their factors say nothing. Milliseconds. */
export const noiseMs = 0.5;

/** What the samples of a place are by trace: windows are stretches of it, so that each sample is looked at once. */
export interface TraceValues {
  /** Numbers of the traces, rising. */
  readonly traces: number[];
  /** Mean of the logarithms, and of how many spans each stands for. */
  readonly values: number[];
  readonly weights: number[];
  /** When the first one began. */
  readonly times: number[];
  /** Sum of all times, each as often as it stands for, and how many spans that are. */
  readonly milliseconds: number[];
  readonly counts: number[];
}

/** Takes samples in the order of their traces. */
export function traceValuesOf(samples: readonly Sample[]): TraceValues {
  const all: TraceValues = { traces: [], values: [], weights: [], times: [], milliseconds: [], counts: [] };
  for (let index = 0; index < samples.length; ) {
    const { trace, startMs } = samples[index] as Sample;
    const first = index;
    let sum = 0;
    let milliseconds = 0;
    let counts = 0;
    for (; index < samples.length; index += 1) {
      const { trace: own, ms, count } = samples[index] as Sample;
      if (own !== trace) break;
      sum += Math.log(ms + noiseMs);
      milliseconds += ms * count;
      counts += count;
    }
    all.traces.push(trace);
    all.values.push(sum / (index - first));
    all.weights.push(counts / (index - first));
    all.times.push(startMs);
    all.milliseconds.push(milliseconds);
    all.counts.push(counts);
  }
  return all;
}

/** What the traces of a stretch amount to: from one place in the lists on, before the other. */
export function momentsOf(all: TraceValues, from = 0, to: number = all.traces.length): Moments {
  let milliseconds = 0;
  let weight = 0;
  let longest = 0;
  let second = 0;
  for (let index = from; index < to; index += 1) {
    const own = all.milliseconds[index] as number;
    milliseconds += own;
    weight += all.counts[index] as number;
    if (own > longest) {
      second = longest;
      longest = own;
    } else if (own > second) second = own;
  }
  return { ...spreadOf(all, from, to), milliseconds: milliseconds - longest + second, weight };
}

/** Weighted mean with the error that it has when each value was kept with the inverse probability of its weight. */
function spreadOf(
  { values, weights, times }: TraceValues,
  from: number,
  to: number,
): Omit<Moments, 'milliseconds' | 'weight'> {
  const traces = to - from;
  if (traces <= 0) return { traces: 0, mean: 0, variance: 0, effective: 0, squaredError: 0, independent: 0 };
  let weight = 0;
  let weightSquares = 0;
  let sum = 0;
  for (let index = from; index < to; index += 1) {
    const own = weights[index] as number;
    weight += own;
    weightSquares += own * own;
    sum += own * (values[index] as number);
  }
  const mean = sum / weight;
  const longMs = momentLength(times[from] ?? 0, times[to - 1] ?? 0);
  let squares = 0;
  let errors = 0;
  let together = 0;
  let inMoment = 0;
  let moments = 0;
  let untilMs = Number.NEGATIVE_INFINITY;
  for (let index = from; index < to; index += 1) {
    const own = weights[index] as number;
    const away = own * ((values[index] as number) - mean);
    squares += (away * away) / own;
    errors += away * away;
    if ((times[index] as number) > untilMs) {
      together += inMoment * inMoment;
      inMoment = 0;
      moments += 1;
      untilMs = (times[index] as number) + longMs;
    }
    inMoment += away;
  }
  together += inMoment * inMoment;
  const ofMany = (many: number): number => (many > 1 ? many / (many - 1) : 0);
  const byTrace = (errors / weight ** 2) * ofMany(traces);
  const byMoment = (together / weight ** 2) * ofMany(moments);
  return {
    traces,
    mean,
    variance: (squares / weight) * ofMany(traces),
    effective: weight ** 2 / weightSquares,
    squaredError: Math.max(byTrace, byMoment),
    independent: byMoment > byTrace ? moments : traces,
  };
}
