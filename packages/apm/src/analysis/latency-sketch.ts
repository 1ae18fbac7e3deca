import { checkFactor, checkState, notMergeable } from './checked-figures.js';

/** Buckets per power of two: 64 keep the relative error at or below 1/128. */
const bucketsPerOctave = 64;
/** Exponent of the smallest value told apart from zero: 2^-20, a nanosecond when the unit is milliseconds. */
const lowestExponent = -20;
/** Powers of two covered: up to 2^44. */
const octaveCount = 64;
/** Position of the first and behind the last bucket in the order of all float64 values, by their top 18 bits. */
const lowestIndex = (1023 + lowestExponent) * bucketsPerOctave;
const endIndex = lowestIndex + octaveCount * bucketsPerOctave;

// One float64 and its two halves share memory. Written and read within one call; nothing is kept between calls.
const float = new Float64Array(1);
const words = new Uint32Array(float.buffer);
const highWord = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1 ? 1 : 0;

/** A sketch as numbers; see `LatencySketch.toJSON`. */
export interface LatencySketchState {
  readonly count: number;
  readonly sum: number;
  /** 0 when empty, and so is `max`. */
  readonly min: number;
  readonly max: number;
  /** Values that are zero or negative. */
  readonly zeroes: number;
  /** Number and count of each bucket that is not empty, one after the other; bucket 0 begins at 2^-20. */
  readonly buckets: readonly number[];
}

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
  /** Buckets per power of two; only sketches of the same number can be merged. */
  static readonly bucketsPerOctave: number = bucketsPerOctave;
  /** Buckets of a sketch that has seen every magnitude. */
  static readonly bucketCount: number = endIndex - lowestIndex;

  /** Counts of whole octaves, from the lowest that was needed to the highest; `#first` is the index of its first bucket. */
  #buckets = new Float64Array(0);
  #first = lowestIndex;
  #zeroes = 0;
  // Fractions from the start, so that the engine keeps room for doubles in the object and adding allocates nothing.
  #count = Number.MIN_VALUE;
  #sum = Number.MIN_VALUE;
  #min = Number.POSITIVE_INFINITY;
  #max = Number.NEGATIVE_INFINITY;
  /** Values up to the end of each octave, as they were when `#count` was `#summedCount`. */
  readonly #upTo: number[] = [];
  #summedCount = -1;

  constructor() {
    this.#count = 0;
    this.#sum = 0;
  }

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
    return 300 + this.#buckets.length * 8;
  }

  /** Counts one value. Values that are no finite number are ignored, and so are weights that are none above 0. */
  add(value: number, weight = 1): void {
    if (typeof value !== 'number' || typeof weight !== 'number') return;
    float[0] = value;
    const buckets = this.#buckets;
    const at = ((words[highWord] as number) >>> 14) - this.#first;
    // Zero, negative and endless values and NaN lie outside of all buckets, so one comparison finds them too.
    if (at < 0 || at >= buckets.length || !(weight > 0 && weight < Number.POSITIVE_INFINITY)) {
      this.#addUnusual(value, weight);
      return;
    }
    (buckets[at] as number) += weight;
    this.#count += weight;
    this.#sum += value * weight;
    if (value < this.#min) this.#min = value;
    if (value > this.#max) this.#max = value;
  }

  /** Counts a value that has no bucket yet, or none at all. */
  #addUnusual(value: number, weight: number): void {
    if (!(Number.isFinite(value) && weight > 0 && weight < Number.POSITIVE_INFINITY)) return;
    this.#count += weight;
    this.#sum += value * weight;
    if (value < this.#min) this.#min = value;
    if (value > this.#max) this.#max = value;
    if (value <= 0) {
      this.#zeroes += weight;
      return;
    }
    float[0] = value;
    const index = Math.min(endIndex - 1, Math.max(lowestIndex, (words[highWord] as number) >>> 14));
    this.#cover(index, index + 1);
    (this.#buckets[index - this.#first] as number) += weight;
  }

  /** Makes room for the octaves of these buckets. */
  #cover(from: number, to: number): void {
    const empty = this.#buckets.length === 0;
    const first = Math.min(empty ? endIndex : this.#first, from - (from % bucketsPerOctave));
    const end = Math.max(
      empty ? 0 : this.#first + this.#buckets.length,
      Math.ceil(to / bucketsPerOctave) * bucketsPerOctave,
    );
    if (!empty && first === this.#first && end === this.#first + this.#buckets.length) return;
    const wider = new Float64Array(end - first);
    wider.set(this.#buckets, empty ? 0 : this.#first - first);
    this.#buckets = wider;
    this.#first = first;
  }

  /**
   * Adds everything that another sketch has seen. The other one stays as it is.
   *
   * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID` for anything else than a sketch.
   */
  merge(other: LatencySketch): void {
    if (typeof other !== 'object' || other === null || !(#buckets in other)) throw notMergeable('LatencySketch');
    this.#count += other.#count;
    this.#sum += other.#sum;
    this.#zeroes += other.#zeroes;
    if (other.#min < this.#min) this.#min = other.#min;
    if (other.#max > this.#max) this.#max = other.#max;
    const theirs = other.#buckets;
    if (theirs.length === 0) return;
    this.#cover(other.#first, other.#first + theirs.length);
    const buckets = this.#buckets;
    const shift = other.#first - this.#first;
    for (let i = 0; i < theirs.length; i += 1) (buckets[i + shift] as number) += theirs[i] as number;
  }

  /**
   * Multiplies every count, so that old values weigh less than new ones. `min` and `max` stay.
   *
   * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID` for a factor that is negative or not finite.
   */
  scale(factor: number): void {
    checkFactor('LatencySketch', factor);
    this.#summedCount = -1;
    this.#count *= factor;
    this.#sum *= factor;
    this.#zeroes *= factor;
    const buckets = this.#buckets;
    for (let i = 0; i < buckets.length; i += 1) (buckets[i] as number) *= factor;
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
    if (octave === upTo.length) return this.#max;
    const buckets = this.#buckets;
    let seen = octave === 0 ? this.#zeroes : (upTo[octave - 1] as number);
    const end = (octave + 1) * bucketsPerOctave;
    for (let i = octave * bucketsPerOctave; i < end; i += 1) {
      seen += buckets[i] as number;
      if (seen >= rank) return Math.min(this.#max, Math.max(this.#min, this.#middleOf(i)));
    }
    return this.#max;
  }

  /** The value that stands for all of one bucket. */
  #middleOf(at: number): number {
    const index = this.#first + at - lowestIndex;
    const exponent = Math.floor(index / bucketsPerOctave) + lowestExponent;
    return 2 ** exponent * (1 + ((index % bucketsPerOctave) + 0.5) / bucketsPerOctave);
  }

  #sumUp(): void {
    let seen = this.#zeroes;
    const buckets = this.#buckets;
    this.#upTo.length = buckets.length / bucketsPerOctave;
    for (let octave = 0; octave < this.#upTo.length; octave += 1) {
      const end = (octave + 1) * bucketsPerOctave;
      for (let i = octave * bucketsPerOctave; i < end; i += 1) seen += buckets[i] as number;
      this.#upTo[octave] = seen;
    }
    this.#summedCount = this.#count;
  }

  /** A quantile that has enough values behind it: `undefined` below 1/(1-q) values, so P99 needs 100. */
  supportedQuantile(q: number): number | undefined {
    // The tiny allowance is for 1/(1-0.95), which is 19.999999999999982 in floating point.
    return typeof q === 'number' && this.#count + 1e-9 >= 1 / (1 - q) ? this.quantile(q) : undefined;
  }

  /** Share of the values above a bound, to the resolution of a bucket; 0 when empty. */
  shareAbove(bound: number): number {
    if (this.#count === 0) return 0;
    let above = 0;
    for (let i = this.#buckets.length - 1; i >= 0 && this.#middleOf(i) > bound; i -= 1)
      above += this.#buckets[i] as number;
    return above / this.#count;
  }

  /** The sketch as plain numbers, for `JSON.stringify`. */
  toJSON(): LatencySketchState {
    const buckets: number[] = [];
    for (let i = 0; i < this.#buckets.length; i += 1) {
      const count = this.#buckets[i] as number;
      if (count > 0) buckets.push(this.#first - lowestIndex + i, count);
    }
    const { min = 0, max = 0 } = this;
    return { count: this.#count, sum: this.#sum, min, max, zeroes: this.#zeroes, buckets };
  }

  /**
   * The sketch that `toJSON` wrote. The numbers are taken as they are; bucket numbers out of range are left out.
   *
   * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID` with the field that is no number.
   */
  static restored(state: LatencySketchState): LatencySketch {
    checkState(state);
    const sketch = new LatencySketch();
    if (state.count <= 0) return sketch;
    sketch.#count = state.count;
    sketch.#sum = state.sum;
    sketch.#min = state.min;
    sketch.#max = state.max;
    sketch.#zeroes = state.zeroes;
    const { buckets } = state;
    const inside = (index: number | undefined): index is number =>
      index !== undefined && index >= 0 && index < LatencySketch.bucketCount;
    const [first, last] = [buckets[0], buckets.at(-2)];
    if (!inside(first) || !inside(last) || last < first) return sketch;
    sketch.#cover(first + lowestIndex, last + lowestIndex + 1);
    for (let i = 0; i + 1 < buckets.length; i += 2) {
      const at = (buckets[i] as number) + lowestIndex - sketch.#first;
      if (at >= 0 && at < sketch.#buckets.length) sketch.#buckets[at] = buckets[i + 1] as number;
    }
    return sketch;
  }

  /** A copy that shares nothing with this sketch. */
  clone(): LatencySketch {
    const copy = new LatencySketch();
    copy.merge(this);
    return copy;
  }
}
