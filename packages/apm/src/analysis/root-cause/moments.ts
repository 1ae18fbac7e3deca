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

/** Takes samples in the order of their traces. */
export function momentsOf(samples: readonly Sample[]): Moments {
  const [values, weights, times] = [[] as number[], [] as number[], [] as number[]];
  let [milliseconds, weight] = [0, 0];
  let [longest, second] = [0, 0];
  for (let index = 0; index < samples.length; ) {
    const { trace } = samples[index] as Sample;
    let [sum, own, counts] = [0, 0, 0];
    const first = index;
    times.push(samples[index]?.atMs ?? 0);
    for (; index < samples.length && samples[index]?.trace === trace; index += 1) {
      const { ms, count } = samples[index] as Sample;
      sum += Math.log(ms + noiseMs);
      own += ms * count;
      counts += count;
    }
    values.push(sum / (index - first));
    weights.push(counts / (index - first));
    milliseconds += own;
    weight += counts;
    if (own > longest) [longest, second] = [own, longest];
    else if (own > second) second = own;
  }
  return { ...spreadOf(values, weights, times), milliseconds: milliseconds - longest + second, weight };
}

/** Weighted mean with the error that it has when each value was kept with the inverse probability of its weight. */
function spreadOf(
  values: readonly number[],
  weights: readonly number[],
  times: readonly number[],
): Omit<Moments, 'milliseconds' | 'weight'> {
  const traces = values.length;
  if (traces === 0) return { traces, mean: 0, variance: 0, effective: 0, squaredError: 0, independent: 0 };
  let [weight, weightSquares, sum] = [0, 0, 0];
  for (let index = 0; index < traces; index += 1) {
    const own = weights[index] as number;
    weight += own;
    weightSquares += own * own;
    sum += own * (values[index] as number);
  }
  const mean = sum / weight;
  const longMs = momentLength(times[0] ?? 0, times.at(-1) ?? 0);
  let [squares, errors, together, inMoment, moments] = [0, 0, 0, 0, 0];
  let untilMs = Number.NEGATIVE_INFINITY;
  for (let index = 0; index < traces; index += 1) {
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
