/**
 * Picks names in turn by whole weights, smoothly: the order repeats after as many picks as the weights add up to, so any
 * run of that length holds each name exactly as often as its weight (smooth weighted round robin, known from nginx).
 */
export class WeightedPick {
  #names: string[] = [];
  #weights: number[] = [];
  #current: number[] = [];
  #total = 0;

  /** Takes new weights, from the beginning of the order. Names with weight 0 are never picked. */
  set(weights: ReadonlyMap<string, number>): void {
    const positive = [...weights].filter(([, weight]) => weight > 0);
    this.#names = positive.map(([name]) => name);
    this.#weights = positive.map(([, weight]) => weight);
    this.#current = positive.map(() => 0);
    this.#total = this.#weights.reduce((sum, weight) => sum + weight, 0);
  }

  /** Names that can be picked. */
  get names(): readonly string[] {
    return this.#names;
  }

  /** The next name, or `undefined` when every weight is 0. */
  next(): string | undefined {
    if (this.#names.length <= 1) return this.#names[0];
    let best = 0;
    for (let index = 0; index < this.#names.length; index += 1) {
      this.#current[index]! += this.#weights[index]!;
      if (this.#current[index]! > this.#current[best]!) best = index;
    }
    this.#current[best]! -= this.#total;
    return this.#names[best];
  }
}
