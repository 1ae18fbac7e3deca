import { checkFactor, notMergeable } from './checked-figures.js';

/**
 * Mean and variance of a stream of values in constant memory, without the loss of digits that sums of squares have.
 *
 * Welford's method per value; Chan, Golub and LeVeque's formula for merging.
 */
export class RunningMoments {
  #count = 0;
  #mean = 0;
  #squares = 0;

  /** Values seen, weights included. */
  get count(): number {
    return this.#count;
  }

  /** Mean; 0 when empty. */
  get mean(): number {
    return this.#mean;
  }

  /** Variance of the values as a population; 0 when empty. */
  get variance(): number {
    return this.#count > 0 ? Math.max(0, this.#squares / this.#count) : 0;
  }

  /** Square root of the variance. */
  get standardDeviation(): number {
    return Math.sqrt(this.variance);
  }

  /** Sum of the squared distances from the mean. */
  get squares(): number {
    return this.#squares;
  }

  /** The moments that others were, from their three numbers. */
  static of(count: number, mean: number, squares: number): RunningMoments {
    const moments = new RunningMoments();
    moments.#count = count;
    moments.#mean = mean;
    moments.#squares = squares;
    return moments;
  }

  /** Takes one value. Values that are no finite number are ignored, and so are weights that are none above 0. */
  add(value: number, weight = 1): void {
    if (!(Number.isFinite(value) && weight > 0 && weight < Number.POSITIVE_INFINITY)) return;
    this.#count += weight;
    const distance = value - this.#mean;
    this.#mean += (weight * distance) / this.#count;
    this.#squares += weight * distance * (value - this.#mean);
  }

  /**
   * Takes everything that other moments have seen.
   *
   * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID` for anything else.
   */
  merge(other: RunningMoments): void {
    if (typeof other !== 'object' || other === null || !(#squares in other)) throw notMergeable('RunningMoments');
    if (other.#count === 0) return;
    const count = this.#count + other.#count;
    const distance = other.#mean - this.#mean;
    this.#squares += other.#squares + (distance * distance * this.#count * other.#count) / count;
    this.#mean += (distance * other.#count) / count;
    this.#count = count;
  }

  /**
   * Multiplies the weight of everything seen so far.
   *
   * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID` for a factor that is negative or not finite.
   */
  scale(factor: number): void {
    checkFactor('RunningMoments', factor);
    this.#count *= factor;
    this.#squares *= factor;
  }
}
