import type { Span } from '@mnops/core/spi';
import { hashOf, oddFactor, readSpanKey } from './span-key.js';

/** Spans by their ids; of those with one id the last. */
export class SpanIndex {
  readonly #spans: readonly Span[];
  readonly #highs: Int32Array;
  readonly #lows: Int32Array;
  /** Position of a span and 1, in open addressing. */
  readonly #places: Int32Array;
  readonly #shift: number;
  // Ids come from outside: nobody must be able to choose many of one place, for which reading takes the square of the time.
  readonly #highFactor = oddFactor();
  readonly #lowFactor = oddFactor();

  constructor(spans: readonly Span[]) {
    this.#spans = spans;
    const bits = Math.max(1, Math.ceil(Math.log2(spans.length * 2 + 1)));
    this.#shift = 32 - bits;
    this.#places = new Int32Array(2 ** bits);
    this.#highs = new Int32Array(spans.length);
    this.#lows = new Int32Array(spans.length);
    const key = new Int32Array(2);
    let index = 0;
    for (const { spanId } of spans) {
      readSpanKey(spanId, key);
      const high = key[0] as number;
      const low = key[1] as number;
      this.#highs[index] = high;
      this.#lows[index] = low;
      index += 1;
      this.#places[this.#placeOf(high, low)] = index;
    }
  }

  find(high: number, low: number): Span | undefined {
    const place = this.#places[this.#placeOf(high, low)] as number;
    return place === 0 ? undefined : this.#spans[place - 1];
  }

  /** Where the span is, or the free place where it would be. */
  #placeOf(high: number, low: number): number {
    const places = this.#places;
    const last = places.length - 1;
    let at = hashOf(high, low, this.#highFactor, this.#lowFactor) >>> this.#shift;
    for (;;) {
      const place = places[at] as number;
      if (place === 0 || (this.#lows[place - 1] === low && this.#highs[place - 1] === high)) return at;
      at = (at + 1) & last;
    }
  }
}
