import { RunningMoments } from '../running-moments.js';

/** Intervals at most. */
const maxIntervals = 24;
/** Standard deviations that one interval may span. */
const maxWidth = 6;
/** Share of the mean that a standard deviation counts as at least: a flat series has none. */
const leastSpread = 3e-3;

/**
 * What values a series had, as a few intervals, so that a value in a gap between them is as new as one beyond them all.
 *
 * The standard deviation that distances are measured in is that of everything seen, outliers included: a series of
 * spikes is wide, and one more spike is nothing new.
 */
export class SeenValues {
  readonly #low = new Float64Array(maxIntervals);
  readonly #high = new Float64Array(maxIntervals);
  readonly #moments = new RunningMoments();
  #intervals = 0;

  get count(): number {
    return this.#moments.count;
  }

  get mean(): number {
    return this.#moments.mean;
  }

  get standardDeviation(): number {
    const { count, mean, squares } = this.#moments;
    const deviation = count > 1 ? Math.sqrt(squares / (count - 1)) : 0;
    return Math.max(deviation, leastSpread * Math.abs(mean), 1e-9);
  }

  /** Smallest and largest value seen; `undefined` before the first. */
  get range(): readonly [number, number] | undefined {
    if (this.#intervals === 0) return undefined;
    const used = this.#intervals;
    return [Math.min(...this.#low.subarray(0, used)), Math.max(...this.#high.subarray(0, used))];
  }

  /** Distance to the nearest interval; 0 inside of one. */
  distance(value: number): number {
    return this.#nearest(value).distance;
  }

  /** Takes a value in and says how far it was from everything before, in standard deviations. */
  next(value: number): number {
    const deviation = this.standardDeviation;
    const { index, distance } = this.#nearest(value);
    if (distance > 0) this.#cover(value, index, deviation);
    this.#moments.add(value);
    return this.#moments.count > 1 ? distance / deviation : 0;
  }

  #nearest(value: number): { readonly index: number; readonly distance: number } {
    let index = -1;
    let distance = Number.POSITIVE_INFINITY;
    for (let i = 0; i < this.#intervals; i += 1) {
      const low = this.#low[i] as number;
      const high = this.#high[i] as number;
      const beyond = value > high ? value - high : value < low ? low - value : 0;
      if (beyond >= distance) continue;
      index = i;
      distance = beyond;
      if (beyond === 0) break;
    }
    return { index, distance };
  }

  /** Widens the nearest interval; where that would make it too wide and there is room, begins a new one. */
  #cover(value: number, nearest: number, deviation: number): void {
    if (nearest >= 0) {
      const low = Math.min(this.#low[nearest] as number, value);
      const high = Math.max(this.#high[nearest] as number, value);
      if (high - low <= maxWidth * deviation || this.#intervals === maxIntervals) {
        this.#low[nearest] = low;
        this.#high[nearest] = high;
        return;
      }
    }
    this.#low[this.#intervals] = value;
    this.#high[this.#intervals] = value;
    this.#intervals += 1;
  }
}
