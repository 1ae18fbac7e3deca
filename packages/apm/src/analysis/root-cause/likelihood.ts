/** How far two shares are apart, as twice the logarithm of the likelihood ratio. */
export function likelihoodRatio(countThen: number, runsThen: number, countNow: number, runsNow: number): number {
  const pooled = (countThen + countNow) / (runsThen + runsNow);
  const part = (count: number, runs: number, share: number): number =>
    (count > 0 ? count * Math.log(count / runs / share) : 0) +
    (count < runs ? (runs - count) * Math.log((runs - count) / runs / (1 - share)) : 0);
  return 2 * (part(countThen, runsThen, pooled) + part(countNow, runsNow, pooled));
}
