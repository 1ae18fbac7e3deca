import { gammaln, probit } from 'simple-statistics';

/** How far two shares are apart, as twice the logarithm of the likelihood ratio. */
function likelihoodRatio(countThen: number, runsThen: number, countNow: number, runsNow: number): number {
  const pooled = (countThen + countNow) / (runsThen + runsNow);
  const part = (count: number, runs: number, share: number): number =>
    (count > 0 ? count * Math.log(count / runs / share) : 0) +
    (count < runs ? (runs - count) * Math.log((runs - count) / runs / (1 - share)) : 0);
  return 2 * (part(countThen, runsThen, pooled) + part(countNow, runsNow, pooled));
}

/** Runs on the smaller side from which on the likelihood ratio is exact enough. */
const manyRuns = 200;

/**
 * Standard errors that two shares are apart. Where runs are few, by Fisher's exact test: the likelihood ratio makes much of
 * little then.
 */
export function deviationOfShares(countThen: number, runsThen: number, countNow: number, runsNow: number): number {
  const rough = Math.sqrt(Math.max(0, likelihoodRatio(countThen, runsThen, countNow, runsNow)));
  if (Math.min(runsThen, runsNow) >= manyRuns || rough === 0) return rough;
  const [many, few] = [Math.round(runsThen), Math.round(runsNow)];
  const [there, here] = [Math.round(countThen), Math.round(countNow)];
  const isMore = here * many > there * few;
  const [all, sum] = [many + few, there + here];
  let rare = 0;
  // What was seen, or further from the other side, when the same runs are dealt out by chance.
  for (
    let count = here;
    isMore ? count <= Math.min(few, sum) : count >= Math.max(0, sum - many);
    count += isMore ? 1 : -1
  ) {
    const chance = Math.exp(choices(few, count) + choices(many, sum - count) - choices(all, sum));
    rare += chance;
    if (chance < rare * 1e-9) break;
  }
  return Math.min(rough, probit(1 - Math.min(0.5, Math.max(1e-15, rare))));
}

/** Logarithm of how many ways there are to choose. */
function choices(of: number, count: number): number {
  if (count < 0 || count > of) return Number.NEGATIVE_INFINITY;
  return gammaln(of + 1) - gammaln(count + 1) - gammaln(of - count + 1);
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
