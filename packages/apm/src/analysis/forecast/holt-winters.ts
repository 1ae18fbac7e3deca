/** How fast a model follows its series. */
export interface HoltWintersRates {
  /** Weight of a new value in the level. */
  readonly level: number;
  /** Weight of a new value in its place in the season; `undefined`: the series is taken to have no season. */
  readonly season: number | undefined;
  /** Share of the last deviation that the next value still has. */
  readonly carry: number;
}

/**
 * Additive Holt-Winters smoothing with a level and a season, and with what is left of the last deviation, which fades by
 * `carry` from step to step: Taylor, "Short-term electricity demand forecasting using double seasonal exponential
 * smoothing" (2003). Without the last, one high value would lift everything to come, or nothing.
 */
export class HoltWinters {
  readonly #rates: HoltWintersRates;
  readonly #season: Float64Array;
  #level: number;
  #deviation = 0;
  /** Place of the next value in the season. */
  #place = 0;

  /** @param first - The first whole seasons, from which level and season are taken before the first value is learned. */
  constructor(first: readonly number[], length: number, rates: HoltWintersRates) {
    this.#rates = rates;
    this.#season = new Float64Array(length);
    const known = first.filter((value) => !Number.isNaN(value));
    this.#level = known.length > 0 ? known.reduce((sum, value) => sum + value, 0) / known.length : 0;
    if (rates.season === undefined) return;
    for (let place = 0; place < length; place += 1) {
      let sum = 0;
      let count = 0;
      for (let i = place; i < first.length; i += length) {
        const value = first[i] as number;
        if (Number.isNaN(value)) continue;
        sum += value - this.#level;
        count += 1;
      }
      this.#season[place] = count > 0 ? sum / count : 0;
    }
  }

  /** Takes the next value in; `NaN` is one that is not known. */
  learn(value: number): void {
    const { level, season, carry } = this.#rates;
    const place = this.#place;
    this.#place = (place + 1) % this.#season.length;
    if (Number.isNaN(value)) {
      this.#deviation *= carry;
      return;
    }
    const deviation = value - this.#level - (this.#season[place] as number);
    this.#level += level * deviation;
    this.#deviation = (1 - level) * deviation;
    if (season !== undefined) this.#season[place] = (this.#season[place] as number) + season * this.#deviation;
  }

  /** The value `steps` after the last one learned; 1 is the next. */
  forecast(steps: number): number {
    const place = (this.#place + steps - 1) % this.#season.length;
    return this.#level + (this.#season[place] as number) + this.#deviation * this.#rates.carry ** steps;
  }
}
