import type { BackTest } from './back-test.js';

/** How far values lay below and above their forecasts. */
export interface ErrorRange {
  readonly low: number;
  readonly high: number;
}

/** Errors without which nothing is said about their range. */
const leastErrors = 20;

/**
 * Ranges that hold a share of the errors of a back test, for each number of steps that was tried: split conformal
 * prediction with signed errors, so skewed series get skewed ranges.
 *
 * @returns `undefined` when there are fewer than 20 errors to go by.
 */
export function errorRanges({ steps, errors }: BackTest, coverage: number): readonly ErrorRange[] | undefined {
  const all: number[] = [];
  const ranges = steps.map((_, place) => {
    const own = (errors[place] as readonly number[]).filter((error) => !Number.isNaN(error));
    // Few instants have been followed by so many steps yet; shorter forecasts are the next best witnesses.
    const list = own.length >= leastErrors ? own : [...all, ...own];
    all.push(...own);
    return list.length >= leastErrors ? rangeOf(list, coverage) : undefined;
  });
  const known = ranges.filter((range) => range !== undefined);
  return known.length === steps.length ? known : undefined;
}

/** The range for a number of steps between those that were tried. */
export function rangeAt(steps: readonly number[], ranges: readonly ErrorRange[], ahead: number): ErrorRange {
  const after = Math.max(
    0,
    steps.findIndex((step) => step >= ahead),
  );
  const right = ranges[after] as ErrorRange;
  const before = steps[after - 1];
  if (before === undefined) return right;
  const left = ranges[after - 1] as ErrorRange;
  const part = (ahead - before) / ((steps[after] as number) - before);
  return { low: left.low + part * (right.low - left.low), high: left.high + part * (right.high - left.high) };
}

function rangeOf(errors: readonly number[], coverage: number): ErrorRange {
  const sorted = errors.toSorted((a, b) => a - b);
  // One more than there are: the value to come is one of them.
  const outside = Math.floor(((sorted.length + 1) * (1 - coverage)) / 2);
  const index = Math.max(0, outside - 1);
  return { low: sorted[index] as number, high: sorted[sorted.length - 1 - index] as number };
}
