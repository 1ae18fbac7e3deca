/** A generalised Pareto distribution of the amounts by which values pass a threshold. */
export interface ParetoTail {
  /** Above 0: heavy tail; 0: exponential; below 0: bounded. */
  readonly shape: number;
  readonly scale: number;
}

/** Candidates between which the best fit is looked for, on each side of zero. */
const steps = 24;
/** A smaller shape has an unbounded likelihood, and no maximum. */
const leastShape = -0.9;

/**
 * The tail with the largest likelihood for some excesses, all above 0.
 *
 * The two parameters are reduced to their quotient, over which the likelihood is maximised: Grimshaw, "Computing maximum
 * likelihood estimates for the generalized Pareto distribution", Technometrics 35 (1993).
 */
export function fitParetoTail(excesses: readonly number[]): ParetoTail {
  const mean = excesses.reduce((sum, excess) => sum + excess, 0) / excesses.length;
  const exponential: ParetoTail = { shape: 0, scale: mean };
  if (excesses.length < 2 || !(mean > 0)) return exponential;
  const largest = Math.max(...excesses);
  const shapeAt = (quotient: number): number => {
    let sum = 0;
    for (const excess of excesses) sum += Math.log1p(quotient * excess);
    return sum / excesses.length;
  };
  /** Mean log-likelihood, the shape being the best for the quotient. */
  const likelihood = (quotient: number): number => {
    if (Math.abs(quotient * mean) < 1e-9) return -Math.log(mean) - 1;
    const shape = shapeAt(quotient);
    return shape < leastShape ? Number.NEGATIVE_INFINITY : -Math.log(shape / quotient) - shape - 1;
  };
  const candidates: number[] = [];
  // From the bound of a short tail to zero, and from zero to the quotient of a very heavy one.
  for (let i = 0; i <= steps; i += 1) candidates.push((-(1 - 1e-9) / largest) * (1 - i / steps));
  for (let i = 0; i <= steps; i += 1) candidates.push(10 ** (-3 + (6 * i) / steps) / mean);
  const values = candidates.map(likelihood);
  const best = values.indexOf(Math.max(...values));
  const from = candidates[Math.max(0, best - 1)] as number;
  const to = candidates[Math.min(candidates.length - 1, best + 1)] as number;
  const quotient = maximum(likelihood, from, to);
  if (likelihood(quotient) <= likelihood(0) || Math.abs(quotient * mean) < 1e-9) return exponential;
  const shape = shapeAt(quotient);
  return { shape, scale: shape / quotient };
}

/** What is passed with a probability, where `share` of all values pass the threshold that the tail begins at. */
export function tailQuantile({ shape, scale }: ParetoTail, probability: number, share: number): number {
  const ratio = probability / share;
  return Math.abs(shape) < 1e-9 ? -scale * Math.log(ratio) : (scale / shape) * (ratio ** -shape - 1);
}

/** Golden-section search. */
function maximum(valueAt: (x: number) => number, from: number, to: number): number {
  const golden = (Math.sqrt(5) - 1) / 2;
  let [low, high] = [from, to];
  let left = high - golden * (high - low);
  let right = low + golden * (high - low);
  let [leftValue, rightValue] = [valueAt(left), valueAt(right)];
  for (let i = 0; i < 40; i += 1) {
    if (leftValue < rightValue) {
      low = left;
      [left, leftValue] = [right, rightValue];
      right = low + golden * (high - low);
      rightValue = valueAt(right);
    } else {
      high = right;
      [right, rightValue] = [left, leftValue];
      left = high - golden * (high - low);
      leftValue = valueAt(left);
    }
  }
  return (low + high) / 2;
}
