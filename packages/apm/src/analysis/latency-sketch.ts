/** Buckets per power of two: 64 keep the relative error at or below 1/128. */
const bucketsPerOctave = 64;
/** Exponent of the smallest value told apart from zero: 2^-20, a nanosecond when the unit is milliseconds. */
const lowestExponent = -20;
/** Powers of two covered: up to 2^44. */
const octaveCount = 64;
const lowestIndex = (1023 + lowestExponent) * bucketsPerOctave;
const indexCount = octaveCount * bucketsPerOctave;

// One float64 and its two halves share memory. Written and read within one call; nothing is kept between calls.
const float = new Float64Array(1);
const words = new Uint32Array(float.buffer);
const highWord = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1 ? 1 : 0;

/**
 * Counts values in buckets of equal relative width, so that any quantile of millions of values comes out within 0.79 %
 * from a few kilobytes.
 *
 * The bucket of a value is the exponent and the top six bits of the mantissa of its IEEE 754 form. Every sketch has the
 * same buckets, so merging is exact: a merged sketch equals the one that had seen all values. Zero and negative values
 * share one bucket that reads as 0; values below 2^-20 or from 2^44 on fall into the first or last bucket.
 */
export class LatencySketch {
  /** Largest relative error of a quantile. */
  static readonly relativeError: number = 1 / (2 * bucketsPerOctave);

  readonly #octaves: (Float64Array | undefined)[] = [];
  #zeroes = 0;
  #count = 0;
  #sum = 0;
  #min = Number.POSITIVE_INFINITY;
  #max = Number.NEGATIVE_INFINITY;
  /** Values up to the end of each octave, as they were when `#count` was `#summedCount`. */
  readonly #upTo: number[] = [];
  #summedCount = -1;

  /** Values counted, weights included. */
  get count(): number {
    return this.#count;
  }

  /** Sum of the values, weights included. */
  get sum(): number {
    return this.#sum;
  }

  /** Smallest value, exact; `undefined` when empty. */
  get min(): number | undefined {
    return this.#count > 0 ? this.#min : undefined;
  }

  /** Largest value, exact; `undefined` when empty. */
  get max(): number | undefined {
    return this.#count > 0 ? this.#max : undefined;
  }

  /** Bytes of bucket memory held now; at most 32 KiB. */
  get bytes(): number {
    let octaves = 0;
    for (const octave of this.#octaves) if (octave !== undefined) octaves += 1;
    return 200 + octaves * (bucketsPerOctave * 8 + 100);
  }

  /** Counts one value. `NaN`, infinite values and weights that are not above 0 are ignored. */
  add(value: number, weight = 1): void {
    // Also false for NaN.
    if (!(value - value === 0 && weight > 0)) return;
    this.#count += weight;
    this.#sum += value * weight;
    if (value < this.#min) this.#min = value;
    if (value > this.#max) this.#max = value;
    if (value <= 0) {
      this.#zeroes += weight;
      return;
    }
    float[0] = value;
    let index = ((words[highWord] as number) >>> 14) - lowestIndex;
    if (index < 0) index = 0;
    else if (index >= indexCount) index = indexCount - 1;
    const octave = index >>> 6;
    let buckets = this.#octaves[octave];
    if (buckets === undefined) {
      buckets = new Float64Array(bucketsPerOctave);
      this.#octaves[octave] = buckets;
    }
    (buckets[index & 63] as number) += weight;
  }

  /** Adds everything that another sketch has seen. The other one stays as it is. */
  merge(other: LatencySketch): void {
    this.#count += other.#count;
    this.#sum += other.#sum;
    this.#zeroes += other.#zeroes;
    if (other.#min < this.#min) this.#min = other.#min;
    if (other.#max > this.#max) this.#max = other.#max;
    for (let octave = 0; octave < other.#octaves.length; octave += 1) {
      const theirs = other.#octaves[octave];
      if (theirs === undefined) continue;
      const ours = this.#octaves[octave];
      if (ours === undefined) this.#octaves[octave] = theirs.slice();
      else for (let i = 0; i < bucketsPerOctave; i += 1) (ours[i] as number) += theirs[i] as number;
    }
  }

  /** Multiplies every count, so that old values weigh less than new ones. `min` and `max` stay. */
  scale(factor: number): void {
    this.#summedCount = -1;
    this.#count *= factor;
    this.#sum *= factor;
    this.#zeroes *= factor;
    for (const buckets of this.#octaves) {
      if (buckets === undefined) continue;
      for (let i = 0; i < bucketsPerOctave; i += 1) (buckets[i] as number) *= factor;
    }
  }

  /**
   * The value below which a share `q` of the values lies, by nearest rank, within `relativeError`.
   *
   * @param q - From 0 to 1.
   * @returns `undefined` when empty or when `q` is not from 0 to 1.
   */
  quantile(q: number): number | undefined {
    if (!(this.#count > 0 && q >= 0 && q <= 1)) return undefined;
    if (q === 0) return this.#min;
    if (q === 1) return this.#max;
    const rank = q * this.#count;
    if (this.#zeroes >= rank) return Math.min(0, this.#max);
    if (this.#summedCount !== this.#count) this.#sumUp();
    const upTo = this.#upTo;
    let octave = 0;
    while (octave < upTo.length && (upTo[octave] as number) < rank) octave += 1;
    const buckets = this.#octaves[octave];
    if (buckets === undefined) return this.#max;
    let seen = octave === 0 ? this.#zeroes : (upTo[octave - 1] as number);
    for (let i = 0; i < bucketsPerOctave; i += 1) {
      seen += buckets[i] as number;
      if (seen < rank) continue;
      const middle = 2 ** (octave + lowestExponent) * (1 + (i + 0.5) / bucketsPerOctave);
      return Math.min(this.#max, Math.max(this.#min, middle));
    }
    return this.#max;
  }

  #sumUp(): void {
    let seen = this.#zeroes;
    for (let octave = 0; octave < this.#octaves.length; octave += 1) {
      const buckets = this.#octaves[octave];
      if (buckets !== undefined) for (let i = 0; i < bucketsPerOctave; i += 1) seen += buckets[i] as number;
      this.#upTo[octave] = seen;
    }
    this.#summedCount = this.#count;
  }

  /** A quantile that has enough values behind it: `undefined` below 1/(1-q) values, so P99 needs 100. */
  supportedQuantile(q: number): number | undefined {
    // The tiny allowance is for 1/(1-0.95), which is 19.999999999999982 in floating point.
    return this.#count + 1e-9 >= 1 / (1 - q) ? this.quantile(q) : undefined;
  }

  /** Share of the values above a bound, to the resolution of a bucket; 0 when empty. */
  shareAbove(bound: number): number {
    if (this.#count === 0) return 0;
    let above = 0;
    for (let octave = 0; octave < this.#octaves.length; octave += 1) {
      const buckets = this.#octaves[octave];
      if (buckets === undefined) continue;
      const base = 2 ** (octave + lowestExponent);
      if (base * 2 <= bound) continue;
      for (let i = 0; i < bucketsPerOctave; i += 1) {
        if (base * (1 + (i + 0.5) / bucketsPerOctave) > bound) above += buckets[i] as number;
      }
    }
    return above / this.#count;
  }

  /** A copy that shares nothing with this sketch. */
  clone(): LatencySketch {
    const copy = new LatencySketch();
    copy.merge(this);
    return copy;
  }
}
