/** The kinds of detector for a series of numbers. */
export type DetectorKind = 'adaptive' | 'sigma' | 'robust' | 'novelty' | 'seasonal' | 'tail-threshold';

/** Every kind, the default first. */
export const detectorKinds: readonly DetectorKind[] = [
  'adaptive',
  'sigma',
  'robust',
  'novelty',
  'seasonal',
  'tail-threshold',
];

/** How a detector judges a series. */
export interface DetectorOptions {
  /**
   * `adaptive` (default): `next` finds values that the series never had, by themselves or for their hour of the week;
   * `score` measures the distance from a level that follows the series, in units of the spread it usually has.
   * `sigma`: distance from the mean of the last 100 values in standard deviations; simple, and prone to false alarms.
   * `robust`: distance from the median of the last 240 values in median deviations.
   * `novelty`: distance from the nearest values that were seen, in standard deviations.
   * `seasonal`: distance from what is usual in this hour of the week, or of the day while the week is not known.
   * `tail-threshold`: beyond what happens once in 10,000 values, by a tail fitted to the largest deviations.
   */
  readonly detector?: DetectorKind | undefined;
  /** Standard deviations at which `sigma` alarms. Default 2. */
  readonly sigma?: number | undefined;
  /** Values to learn from before the first judgement. Default 10. At least 50 for
   * `novelty` and `next` of `adaptive`, which goes by the level before, and 230 for `tail-threshold`. */
  readonly minPoints?: number | undefined;
}

/** Range in which the next value is expected. */
export interface Expectation {
  readonly low: number;
  readonly value: number;
  readonly high: number;
}

/** Judges one series of numbers as it comes. Whatever is no number counts as `NaN`. */
export interface Detector {
  readonly id: DetectorKind;
  /**
   * Judges the value, then learns it.
   *
   * @param atMs - Epoch milliseconds, for what depends on the hour.
   * @returns From 0 to 1; from 0.5 on it is an anomaly. `NaN` gives 0 and is not learned.
   */
  next(value: number, atMs: number): number;
  /**
   * Judges without learning.
   *
   * @param noise - Spread that the value has by chance alone, such as the error of a share of few calls. Default 0.
   * @param atMs - Epoch milliseconds; only `seasonal` needs it. Default: the time of the last value learned.
   */
  score(value: number, noise?: number, atMs?: number): number;
  /** Learns without judging. One far value has little weight. */
  learn(value: number, atMs?: number): void;
  /** `undefined` while there is too little to judge by. */
  expected(noise?: number, atMs?: number): Expectation | undefined;
}

/** A detector whose `next` judges and then learns, as most do. */
export function judgeThenLearn(parts: Omit<Detector, 'next'>): Detector {
  return {
    ...parts,
    next(value, atMs) {
      const result = parts.score(value, undefined, atMs);
      parts.learn(value, atMs);
      return result;
    },
  };
}
