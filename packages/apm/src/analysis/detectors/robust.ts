import { type Detector, type Expectation, judgeThenLearn } from './detector.js';

/** Values that the median and the deviation are taken from. */
const windowSize = 240;
/** Deviations at which a value is an anomaly. */
const limit = 6;

/** The newest values, in order of time and in order of size. */
class SortedWindow {
  readonly #byTime = new Float64Array(windowSize);
  readonly #bySize = new Float64Array(windowSize);
  #next = 0;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  push(value: number): void {
    if (this.#length === windowSize) this.#remove(this.#byTime[this.#next] as number);
    const place = this.#place(value);
    this.#bySize.copyWithin(place + 1, place, this.#length);
    this.#bySize[place] = value;
    this.#length += 1;
    this.#byTime[this.#next] = value;
    this.#next = (this.#next + 1) % windowSize;
  }

  /** The value below which a share of the window lies. */
  quantile(share: number): number {
    return this.#bySize[Math.floor(share * (this.#length - 1))] as number;
  }

  /** Median of the distances to a value, by walking outwards from it. */
  medianDistance(value: number): number {
    let high = this.#place(value);
    let low = high - 1;
    let distance = 0;
    for (let taken = 0; taken <= this.#length >> 1; taken += 1) {
      const below = low >= 0 ? value - (this.#bySize[low] as number) : Number.POSITIVE_INFINITY;
      const above = high < this.#length ? (this.#bySize[high] as number) - value : Number.POSITIVE_INFINITY;
      distance = Math.min(below, above);
      if (below < above) low -= 1;
      else high += 1;
    }
    return distance;
  }

  #remove(value: number): void {
    const place = this.#place(value);
    this.#bySize.copyWithin(place, place + 1, this.#length);
    this.#length -= 1;
  }

  /** Where a value is, or belongs. */
  #place(value: number): number {
    let low = 0;
    let high = this.#length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#bySize[middle] as number) < value) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/**
 * Alarms at six deviations from the median of the last 240 values. The deviation is the largest of the scaled median
 * deviation, the scaled distance of the quartiles and a thousandth of the median: a flat series has no deviation.
 */
export function robustDetector(minPoints: number): Detector {
  const window = new SortedWindow();
  const usual = (noise: number): { readonly median: number; readonly spread: number } | undefined => {
    if (window.length < Math.max(1, minPoints)) return undefined;
    const median = window.quantile(0.5);
    const quartiles = (window.quantile(0.75) - window.quantile(0.25)) / 1.349;
    const deviation = 1.4826 * window.medianDistance(median);
    return { median, spread: Math.max(deviation, quartiles, noise, Math.abs(median) * 1e-3, 1e-9) };
  };
  const score = (value: number, noise = 0): number => {
    const found = usual(noise);
    if (found === undefined || Number.isNaN(value)) return 0;
    return Math.min(1, Math.abs(value - found.median) / found.spread / (2 * limit));
  };
  const learn = (value: number): void => {
    if (Number.isFinite(value)) window.push(value);
  };
  return judgeThenLearn({
    id: 'robust',
    score,
    learn,
    expected(noise = 0): Expectation | undefined {
      const found = usual(noise);
      if (found === undefined) return undefined;
      const reach = limit * found.spread;
      return { low: found.median - reach, value: found.median, high: found.median + reach };
    },
  });
}
