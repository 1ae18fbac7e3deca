/** Sums per slot of time, for as many slots as the ring has; older ones are overwritten. */
export class WindowRing {
  readonly #slotMs: number;
  readonly #width: number;
  readonly #numbers: Float64Array;
  readonly #slots: (Float32Array | undefined)[];

  /** @param width - Values per slot. */
  constructor(slotMs: number, slots: number, width: number) {
    this.#slotMs = slotMs;
    this.#width = width;
    this.#numbers = new Float64Array(slots).fill(-1);
    this.#slots = new Array<Float32Array | undefined>(slots).fill(undefined);
  }

  /** Longest window that the ring can answer, milliseconds. */
  get spanMs(): number {
    return this.#slotMs * (this.#slots.length - 1);
  }

  /** The slot of an instant, emptied first when it still holds an older time. */
  at(instantMs: number): Float32Array {
    const number = Math.floor(instantMs / this.#slotMs);
    const index = number % this.#slots.length;
    let slot = this.#slots[index];
    if (slot === undefined) {
      slot = new Float32Array(this.#width);
      this.#slots[index] = slot;
    } else if (this.#numbers[index] !== number) {
      slot.fill(0);
    }
    this.#numbers[index] = number;
    return slot;
  }

  /** Adds the slots that end after `fromMs` and begin at or before `toMs` to `into`. */
  collect(fromMs: number, toMs: number, into: Float64Array): void {
    const first = Math.floor(fromMs / this.#slotMs);
    const last = Math.floor(toMs / this.#slotMs);
    for (let index = 0; index < this.#slots.length; index += 1) {
      const number = this.#numbers[index]!;
      const slot = this.#slots[index];
      if (slot === undefined || number < first || number > last) continue;
      for (let value = 0; value < this.#width; value += 1) into[value]! += slot[value]!;
    }
  }
}
