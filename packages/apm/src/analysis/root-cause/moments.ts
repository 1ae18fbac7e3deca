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
  /** Square of the standard error of the mean. */
  readonly squaredError: number;
  /** Sum of all times, each as often as it stands for, with the longest trace cut to the second longest. */
  readonly milliseconds: number;
  /** How many spans they stand for. */
  readonly weight: number;
}

/** Times below this are noise of clocks: their factors say nothing. Milliseconds. */
const noiseMs = 0.5;

/** Takes samples in the order of their traces. */
export function momentsOf(samples: readonly Sample[]): Moments {
  const [values, weights] = [[] as number[], [] as number[]];
  let [milliseconds, weight] = [0, 0];
  let [longest, second] = [0, 0];
  for (let index = 0; index < samples.length; ) {
    const { trace } = samples[index] as Sample;
    let [sum, own, counts] = [0, 0, 0];
    const first = index;
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
  return { ...spreadOf(values, weights), milliseconds: milliseconds - longest + second, weight };
}

/** Weighted mean with the error that it has when each value was kept with the inverse probability of its weight. */
function spreadOf(
  values: readonly number[],
  weights: readonly number[],
): Pick<Moments, 'traces' | 'mean' | 'variance' | 'effective' | 'squaredError'> {
  const traces = values.length;
  let [weight, weightSquares, sum] = [0, 0, 0];
  for (let index = 0; index < traces; index += 1) {
    const own = weights[index] as number;
    weight += own;
    weightSquares += own * own;
    sum += own * (values[index] as number);
  }
  const mean = traces === 0 ? 0 : sum / weight;
  let [squares, errors] = [0, 0];
  for (let index = 0; index < traces; index += 1) {
    const own = weights[index] as number;
    const away = (values[index] as number) - mean;
    squares += own * away * away;
    errors += own * own * away * away;
  }
  const correction = traces > 1 ? traces / (traces - 1) : 0;
  const effective = traces === 0 ? 0 : (weight * weight) / weightSquares;
  return {
    traces,
    mean,
    variance: traces === 0 ? 0 : (squares / weight) * correction,
    effective,
    squaredError: traces === 0 ? 0 : (errors / (weight * weight)) * correction,
  };
}
