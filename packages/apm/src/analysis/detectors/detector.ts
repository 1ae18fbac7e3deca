/** How a detector judges a series. */
export interface DetectorOptions {
  /**
   * `adaptive` (default): distance from a level that follows the series, in units of the spread it usually has.
   * `sigma`: distance from the mean of the last 100 values in standard deviations; simple, and prone to false alarms.
   */
  readonly detector?: 'adaptive' | 'sigma' | undefined;
  /** Standard deviations at which `sigma` alarms. Default 2. */
  readonly sigma?: number | undefined;
  /** Values to learn from before the first judgement. Default 10. */
  readonly minPoints?: number | undefined;
}

/** Range in which the next value is expected. */
export interface Expectation {
  readonly low: number;
  readonly value: number;
  readonly high: number;
}

/** Judges one series of numbers as it comes. */
export interface Detector {
  readonly id: 'adaptive' | 'sigma';
  /** Judges the value, then learns it unless it is an anomaly. From 0 to 1; from 0.5 on it is an anomaly. */
  next(value: number, atMs: number): number;
  /**
   * Judges without learning.
   *
   * @param noise - Spread that the value has by chance alone, such as the error of a share of few calls. Default 0.
   */
  score(value: number, noise?: number): number;
  /** Learns without judging. One far value has little weight. */
  learn(value: number): void;
  /** `undefined` while there is too little to judge by. */
  expected(noise?: number): Expectation | undefined;
}
