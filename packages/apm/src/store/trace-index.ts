/** Slots that share a hash and are still found fast. Ids are random, so a longer chain is somebody's intention. */
const longestChain = 64;
/** Digits of an id that the fast hash reads; they are random even in ids that begin with a time. */
const fastDigits = 8;

/**
 * Finds the slot of a trace by its id, as a map would, without the work and the garbage of a map from which as much is
 * deleted as is added.
 */
export class TraceIndex {
  readonly #ids: readonly (string | undefined)[];
  readonly #mask: number;
  /** First slot of each hash, and the one after each slot; -1 when there is none. */
  readonly #heads: Int32Array;
  readonly #following: Int32Array;
  readonly #hashes: Int32Array;
  /** Secret factor of the careful hash; 0 while the fast one serves. */
  #factor = 0;

  /** @param ids - The trace id of each slot, as long as the slot is taken. Their number is a power of two. */
  constructor(ids: readonly (string | undefined)[]) {
    this.#ids = ids;
    this.#mask = ids.length - 1;
    this.#heads = new Int32Array(ids.length).fill(-1);
    this.#following = new Int32Array(ids.length);
    this.#hashes = new Int32Array(ids.length);
  }

  /** The slot with this id, or -1. */
  find(id: string): number {
    let steps = 0;
    let slot = this.#heads[this.#hash(id) & this.#mask] as number;
    while (slot !== -1 && this.#ids[slot] !== id) {
      slot = this.#following[slot] as number;
      steps += 1;
    }
    if (steps > longestChain && this.#factor === 0) this.#hashCarefully();
    return slot;
  }

  /** Enters the id of a slot; it must not be there. */
  add(slot: number): void {
    const hash = this.#hash(this.#ids[slot] as string);
    this.#hashes[slot] = hash;
    this.#following[slot] = this.#heads[hash & this.#mask] as number;
    this.#heads[hash & this.#mask] = slot;
  }

  /** Takes out the id of a slot. */
  remove(slot: number): void {
    const head = (this.#hashes[slot] as number) & this.#mask;
    const after = this.#following[slot] as number;
    let at = this.#heads[head] as number;
    if (at === slot) {
      this.#heads[head] = after;
      return;
    }
    while (at !== -1) {
      const next = this.#following[at] as number;
      if (next === slot) {
        this.#following[at] = after;
        return;
      }
      at = next;
    }
  }

  #hash(id: string): number {
    const factor = this.#factor;
    let hash = 0;
    if (factor !== 0) {
      for (let i = 0; i < id.length; i += 1) hash = Math.imul(hash ^ id.charCodeAt(i), factor);
      return hash ^ (hash >>> 15);
    }
    for (let i = Math.max(0, id.length - fastDigits); i < id.length; i += 1) {
      const code = id.charCodeAt(i);
      // A hexadecimal digit's value: letters are 39 further on than ten would be.
      hash = (hash << 4) | ((code > 57 ? code - 87 : code - 48) & 15);
    }
    return hash;
  }

  /** From now on ids that were chosen to collide do not. */
  #hashCarefully(): void {
    this.#factor = ((Math.random() * 2 ** 31) | 0) * 2 + 1;
    this.#heads.fill(-1);
    for (let slot = 0; slot < this.#ids.length; slot += 1) if (this.#ids[slot] !== undefined) this.add(slot);
  }
}
