import type { CounterHandle, GaugeHandle, HistogramHandle } from './types.js';

/** What a series needs of the metric it belongs to. */
export interface SeriesOwner<S> {
  /** The living series of a label set, made anew when it was removed. */
  revive(values: readonly string[]): S;
  /** Counts, or throws, a value that the metric does not take. */
  reject(reason: RejectReason): void;
}

/** Why a write was refused. */
export type RejectReason = 'not-a-number' | 'not-finite' | 'negative' | 'unknown-label' | 'too-large';

/** Names the fault of a number that was refused. */
export function faultOf(value: unknown): RejectReason {
  if (typeof value !== 'number' || Number.isNaN(value)) return 'not-a-number';
  if (!Number.isFinite(value)) return 'not-finite';
  return value < 0 ? 'negative' : 'too-large';
}

/** One label set of a counter; it is its own handle. */
export class CounterSeries implements CounterHandle {
  value = 0;
  removed = false;
  readonly #owner: SeriesOwner<CounterSeries>;
  readonly values: readonly string[];
  /** Escaped labels, without braces. */
  readonly text: string;

  constructor(owner: SeriesOwner<CounterSeries>, values: readonly string[], text: string) {
    this.#owner = owner;
    this.values = values;
    this.text = text;
  }

  inc(value = 1): void {
    // One chain of comparisons that text, NaN, negative numbers and overflow all fail.
    if (!this.removed && typeof value === 'number' && value >= 0) {
      const next = this.value + value;
      if (next < Number.POSITIVE_INFINITY) {
        this.value = next;
        return;
      }
    }
    this.#slow(value);
  }

  #slow(value: number): void {
    if (typeof value !== 'number' || !(value >= 0 && this.value + value < Number.POSITIVE_INFINITY)) {
      this.#owner.reject(faultOf(value));
    } else this.#owner.revive(this.values).inc(value);
  }
}

/** One label set of a gauge; it is its own handle. */
export class GaugeSeries implements GaugeHandle {
  value = 0;
  removed = false;
  readonly #owner: SeriesOwner<GaugeSeries>;
  readonly values: readonly string[];
  readonly text: string;

  constructor(owner: SeriesOwner<GaugeSeries>, values: readonly string[], text: string) {
    this.#owner = owner;
    this.values = values;
    this.text = text;
  }

  inc(value = 1): void {
    this.#write(value, true);
  }

  dec(value = 1): void {
    this.#write(typeof value === 'number' ? -value : value, true);
  }

  set(value: number): void {
    this.#write(value, false);
  }

  #write(value: number, add: boolean): void {
    if (typeof value !== 'number') {
      this.#owner.reject('not-a-number');
    } else if (this.removed) {
      const living = this.#owner.revive(this.values);
      if (add) living.inc(value);
      else living.set(value);
    } else this.value = add ? this.value + value : value;
  }
}

/** One label set of a histogram; it is its own handle. */
export class HistogramSeries implements HistogramHandle {
  /** Observations per bucket, not cumulative; the last one is +Inf. */
  readonly counts: Float64Array;
  sum = 0;
  count = 0;
  removed = false;
  readonly #owner: SeriesOwner<HistogramSeries>;
  readonly #bounds: Float64Array;
  readonly values: readonly string[];
  readonly text: string;

  constructor(owner: SeriesOwner<HistogramSeries>, values: readonly string[], text: string, bounds: Float64Array) {
    this.#owner = owner;
    this.#bounds = bounds;
    this.values = values;
    this.text = text;
    this.counts = new Float64Array(bounds.length + 1);
  }

  observe(value: number): void {
    if (this.removed || typeof value !== 'number' || !Number.isFinite(this.sum + value)) {
      this.#slow(value);
      return;
    }
    const bounds = this.#bounds;
    let index = 0;
    if (bounds.length > 24) index = bucketOf(bounds, value);
    else while (index < bounds.length && value > (bounds[index] as number)) index++;
    (this.counts[index] as number)++;
    this.sum += value;
    this.count++;
  }

  startTimer(): () => number {
    const startedAt = process.hrtime.bigint();
    return () => {
      const seconds = Number(process.hrtime.bigint() - startedAt) / 1e9;
      this.observe(seconds);
      return seconds;
    };
  }

  #slow(value: number): void {
    if (typeof value !== 'number' || !Number.isFinite(value)) this.#owner.reject(faultOf(value));
    else if (this.removed) this.#owner.revive(this.values).observe(value);
    else this.#owner.reject('too-large');
  }
}

/** Index of the first bound that is not below the value, by halving. */
function bucketOf(bounds: Float64Array, value: number): number {
  let low = 0;
  let high = bounds.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (value > (bounds[middle] as number)) low = middle + 1;
    else high = middle;
  }
  return low;
}
