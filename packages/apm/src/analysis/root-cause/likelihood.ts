import { probit } from 'simple-statistics';

/** How far two shares are apart, as twice the logarithm of the likelihood ratio. */
export function likelihoodRatio(countThen: number, runsThen: number, countNow: number, runsNow: number): number {
  const pooled = (countThen + countNow) / (runsThen + runsNow);
  const part = (count: number, runs: number, share: number): number =>
    (count > 0 ? count * Math.log(count / runs / share) : 0) +
    (count < runs ? (runs - count) * Math.log((runs - count) / runs / (1 - share)) : 0);
  return 2 * (part(countThen, runsThen, pooled) + part(countNow, runsNow, pooled));
}

/** Share of quiet comparisons in which a kind of change may seem to stand out. */
const falseShare = 0.01;
/** What must be surpassed however little is compared. */
const minCertainty = 3;

/**
 * Standard errors that a change must be away from chance when so many things are compared and any of them may stand out
 * (Bonferroni's correction).
 */
export function certaintyOf(comparisons: number): number {
  return Math.max(minCertainty, probit(1 - falseShare / Math.max(1, comparisons)));
}

/**
 * The deviation of the normal distribution that is as rare as one of Student's with few degrees of freedom.
 * @see D. L. Wallace, Bounds on normal approximations to Student's and the chi-square distributions, 1959
 */
export function normalDeviation(studentsT: number, freedom: number): number {
  const size = Math.sqrt(freedom * Math.log1p((studentsT * studentsT) / freedom));
  return Math.sign(studentsT) * ((8 * freedom + 1) / (8 * freedom + 3)) * size;
}
