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

// Cells before the buckets. All lie in one array of doubles: counting a value touches no other object and allocates
// nothing. No typed array: as soon as any in the process gave its memory away, as WebAssembly does to grow, each access
// to one asks whether that one did.
const countAt = 0;
const sumAt = 1;
const minAt = 2;
const maxAt = 3;
const headLength = 4;

// Bundlers turn the constants of a module into variables, which would be read anew for each value; those of a function
// are compiled into the code.
const { bucketOf, tryCount } = (() => {
  // One float64 and its two halves share memory. Written and read within one call; nothing is kept between calls.
  const float = new Float64Array(1);
  const words = new Uint32Array(float.buffer);
  const highWord = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1 ? 1 : 0;
  const [count, sum, min, max, head] = [countAt, sumAt, minAt, maxAt, headLength];
  return {
    /** Index of the bucket of a value among those of all float64 values. */
    bucketOf: (value: number): number => {
      float[0] = value;
      return (words[highWord] as number) >>> 14;
    },
    /** Counts a value in the cells whose first bucket has this index; false when it has no bucket there. */
    tryCount: (cells: number[], first: number, value: number, weight: number): boolean => {
      float[0] = value;
      const at = ((words[highWord] as number) >>> 14) - first + head;
      // Zero, negative and endless values and NaN lie outside of all buckets, so one comparison finds them too.
      if (at < head || at >= cells.length || !(weight > 0 && weight < Number.POSITIVE_INFINITY)) return false;
      (cells[at] as number) += weight;
      (cells[count] as number) += weight;
      (cells[sum] as number) += value * weight;
      if (value < (cells[min] as number)) cells[min] = value;
      if (value > (cells[max] as number)) cells[max] = value;
      return true;
    },
  };
})();

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

  /** Count, sum, least and largest value; then counts of whole octaves, from the lowest that was needed to the highest. */
  #cells: number[] = emptyCells();
  /** Index of the first bucket; its cell is that of number `headLength`. */
  #first = lowestIndex;
  #zeroes = 0;
  /** Values up to the end of each octave, as they were when the count was `#summedCount`. */
  readonly #upTo: number[] = [];
  #summedCount = -1;

  /** Values counted, weights included. */
  get count(): number {
    return this.#cells[countAt] as number;
  }

  /** Sum of the values, weights included. */
  get sum(): number {
    return this.#cells[sumAt] as number;
  }

  /** Smallest value, exact; `undefined` when empty. */
  get min(): number | undefined {
    return this.count > 0 ? this.#cells[minAt] : undefined;
  }

  /** Largest value, exact; `undefined` when empty. */
  get max(): number | undefined {
    return this.count > 0 ? this.#cells[maxAt] : undefined;
  }

  /** Bytes of bucket memory held now; at most 32 KiB. */
  get bytes(): number {
    return 300 + (this.#cells.length - headLength) * 8;
  }

  /** Counts one value. Values that are no finite number are ignored, and so are weights that are none above 0. */
  add(value: number, weight = 1): void {
    if (typeof value !== 'number' || typeof weight !== 'number') return;
    if (!tryCount(this.#cells, this.#first, value, weight)) this.#addUnusual(value, weight);
  }

  /** Counts a value that has no bucket yet, or none at all. */
  #addUnusual(value: number, weight: number): void {
    if (!(Number.isFinite(value) && weight > 0 && weight < Number.POSITIVE_INFINITY)) return;
    if (value > 0) {
      const index = Math.min(endIndex - 1, Math.max(lowestIndex, bucketOf(value)));
      this.#cover(index, index + 1);
      (this.#cells[index - this.#first + headLength] as number) += weight;
    } else this.#zeroes += weight;
    const cells = this.#cells;
    (cells[countAt] as number) += weight;
    (cells[sumAt] as number) += value * weight;
    if (value < (cells[minAt] as number)) cells[minAt] = value;
    if (value > (cells[maxAt] as number)) cells[maxAt] = value;
  }

  /** Makes room for the octaves of these buckets. */
  #cover(from: number, to: number): void {
    const cells = this.#cells;
    const isEmpty = cells.length === headLength;
    const firstNow = isEmpty ? endIndex : this.#first;
    const endNow = isEmpty ? 0 : this.#first + cells.length - headLength;
    const first = Math.min(firstNow, from - (from % bucketsPerOctave));
    const end = Math.max(endNow, Math.ceil(to / bucketsPerOctave) * bucketsPerOctave);
    if (first === firstNow && end === endNow) return;
    this.#cells = widened(cells, isEmpty ? end - first : firstNow - first, isEmpty ? 0 : end - endNow);
    this.#first = first;
  }

  /**
   * Adds everything that another sketch has seen. The other one stays as it is.
   *
   * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID` for anything else than a sketch.
   */
  merge(other: LatencySketch): void {
    if (typeof other !== 'object' || other === null || !(#cells in other)) throw notMergeable('LatencySketch');
    const theirs = other.#cells;
    if (theirs.length > headLength) this.#cover(other.#first, other.#first + theirs.length - headLength);
    this.#zeroes += other.#zeroes;
    const cells = this.#cells;
    (cells[countAt] as number) += theirs[countAt] as number;
    (cells[sumAt] as number) += theirs[sumAt] as number;
    if ((theirs[minAt] as number) < (cells[minAt] as number)) cells[minAt] = theirs[minAt] as number;
    if ((theirs[maxAt] as number) > (cells[maxAt] as number)) cells[maxAt] = theirs[maxAt] as number;
    const shift = other.#first - this.#first;
    for (let i = headLength; i < theirs.length; i += 1) (cells[i + shift] as number) += theirs[i] as number;
  }

  /**
   * Multiplies every count, so that old values weigh less than new ones. `min` and `max` stay.
   *
   * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID` for a factor that is negative or not finite.
   */
  scale(factor: number): void {
    checkFactor('LatencySketch', factor);
    this.#summedCount = -1;
    this.#zeroes *= factor;
    const cells = this.#cells;
    (cells[countAt] as number) *= factor;
    (cells[sumAt] as number) *= factor;
    for (let i = headLength; i < cells.length; i += 1) (cells[i] as number) *= factor;
  }

  /**
   * The value below which a share `q` of the values lies, by nearest rank, within `relativeError`.
   *
   * @param q - From 0 to 1.
   * @returns `undefined` when empty or when `q` is not from 0 to 1.
   */
  quantile(q: number): number | undefined {
    const cells = this.#cells;
    const count = cells[countAt] as number;
    const min = cells[minAt] as number;
    const max = cells[maxAt] as number;
    if (!(count > 0 && q >= 0 && q <= 1)) return undefined;
    if (q === 0) return min;
    if (q === 1) return max;
    const rank = q * count;
    if (this.#zeroes >= rank) return Math.min(0, max);
    if (this.#summedCount !== count) this.#sumUp();
    const upTo = this.#upTo;
    let octave = 0;
    while (octave < upTo.length && (upTo[octave] as number) < rank) octave += 1;
    if (octave === upTo.length) return max;
    let seen = octave === 0 ? this.#zeroes : (upTo[octave - 1] as number);
    const end = headLength + (octave + 1) * bucketsPerOctave;
    for (let i = end - bucketsPerOctave; i < end; i += 1) {
      seen += cells[i] as number;
      if (seen >= rank) return Math.min(max, Math.max(min, this.#middleOf(i)));
    }
    return max;
  }

  /** The value that stands for all of the bucket of a cell. */
  #middleOf(at: number): number {
    const index = this.#first + at - headLength - lowestIndex;
    const exponent = Math.floor(index / bucketsPerOctave) + lowestExponent;
    return 2 ** exponent * (1 + ((index % bucketsPerOctave) + 0.5) / bucketsPerOctave);
  }

  #sumUp(): void {
    let seen = this.#zeroes;
    const cells = this.#cells;
    this.#upTo.length = (cells.length - headLength) / bucketsPerOctave;
    for (let octave = 0; octave < this.#upTo.length; octave += 1) {
      const end = headLength + (octave + 1) * bucketsPerOctave;
      for (let i = end - bucketsPerOctave; i < end; i += 1) seen += cells[i] as number;
      this.#upTo[octave] = seen;
    }
    this.#summedCount = this.count;
  }

  /** A quantile that has enough values behind it: `undefined` below 1/(1-q) values, so P99 needs 100. */
  supportedQuantile(q: number): number | undefined {
    // The tiny allowance is for 1/(1-0.95), which is 19.999999999999982 in floating point.
    return typeof q === 'number' && this.count + 1e-9 >= 1 / (1 - q) ? this.quantile(q) : undefined;
  }

  /** Share of the values above a bound, to the resolution of a bucket; 0 when empty. */
  shareAbove(bound: number): number {
    const cells = this.#cells;
    if (this.count === 0) return 0;
    let above = 0;
    for (let i = cells.length - 1; i >= headLength && this.#middleOf(i) > bound; i -= 1) above += cells[i] as number;
    return above / this.count;
  }

  /** The sketch as plain numbers, for `JSON.stringify`. */
  toJSON(): LatencySketchState {
    const cells = this.#cells;
    const buckets: number[] = [];
    for (let i = headLength; i < cells.length; i += 1) {
      const inBucket = cells[i] as number;
      if (inBucket > 0) buckets.push(this.#first - lowestIndex + i - headLength, inBucket);
    }
    const { count, sum, min = 0, max = 0 } = this;
    return { count, sum, min, max, zeroes: this.#zeroes, buckets };
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
    const { count, sum, min, max } = state;
    Object.assign(sketch.#cells, [count, sum, min, max]);
    sketch.#zeroes = state.zeroes;
    const { buckets } = state;
    const inside = (index: number | undefined): index is number =>
      index !== undefined && index >= 0 && index < LatencySketch.bucketCount;
    const [first, last] = [buckets[0], buckets.at(-2)];
    if (!inside(first) || !inside(last) || last < first) return sketch;
    sketch.#cover(first + lowestIndex, last + lowestIndex + 1);
    for (let i = 0; i + 1 < buckets.length; i += 2) {
      const at = (buckets[i] as number) + lowestIndex - sketch.#first + headLength;
      if (at >= headLength && at < sketch.#cells.length) sketch.#cells[at] = buckets[i + 1] as number;
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

/** The cells of a sketch without values. Fractions first, so that the engine makes an array of doubles, and keeps it one. */
function emptyCells(): number[] {
  const cells = [0.5, 0.5, 0.5, 0.5];
  cells[countAt] = 0;
  cells[sumAt] = 0;
  cells[minAt] = Number.POSITIVE_INFINITY;
  cells[maxAt] = Number.NEGATIVE_INFINITY;
  return cells;
}

/** The cells with so many empty buckets more before and after those that they have. */
function widened(cells: readonly number[], before: number, after: number): number[] {
  const wider = cells.slice(0, headLength);
  for (let i = 0; i < before; i += 1) wider.push(0);
  for (let i = headLength; i < cells.length; i += 1) wider.push(cells[i] as number);
  for (let i = 0; i < after; i += 1) wider.push(0);
  // An array that grew has room that nothing needs.
  return wider.slice();
}
