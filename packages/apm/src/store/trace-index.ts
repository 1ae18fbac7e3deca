import type { IdWords } from '../tracing/random-ids.js';
import { readWords, writeWords } from './hex-words.js';

/** Slots that share a hash and are still found fast. Ids are random, so a longer chain is somebody's intention. */
const longestChain = 64;

/**
 * Finds the slot of a trace by its id, as a map would, without the work and the garbage of a map from which as much is
 * deleted as is added.
 */
export class TraceIndex {
  readonly size: number;
  readonly #ids: Uint32Array;
  /** First slot of each hash, and the one after each slot; -1 when there is none. */
  readonly #heads: Int32Array;
  readonly #following: Int32Array;
  readonly #hashes: Int32Array;
  readonly #taken: Uint8Array;
  /** Ids that are not 32 hexadecimal digits, which only foreign SDKs make. */
  readonly #odd = new Map<string, number>();
  readonly #oddIds = new Map<number, string>();
  /** The id that was asked for last, as words. It is mostly the next one to be added. */
  readonly #wanted = new Uint32Array(4);
  #wantedId = '';
  /** Secret factor of the careful hash; 0 while the fast one serves. */
  #factor = 0;

  /** @param size - Number of slots, a power of two. */
  constructor(size: number) {
    this.size = size;
    this.#ids = new Uint32Array(4 * size);
    this.#heads = new Int32Array(size).fill(-1);
    this.#following = new Int32Array(size);
    this.#hashes = new Int32Array(size);
    this.#taken = new Uint8Array(size);
  }

  /**
   * The slot with this id, or -1.
   *
   * @param words - The id as numbers, where they are known.
   */
  find(id: string, words?: IdWords): number {
    const wanted = this.#wanted;
    this.#wantedId = '';
    if (words !== undefined) {
      wanted[0] = words.trace0;
      wanted[1] = words.trace1;
      wanted[2] = words.trace2;
      wanted[3] = words.trace3;
    } else if (!writeWords(id, wanted, 0, 4)) return this.#odd.get(id) ?? -1;
    this.#wantedId = id;
    const ids = this.#ids;
    let steps = 0;
    let slot = this.#heads[this.#hash(wanted, 0) & (this.size - 1)] as number;
    while (slot !== -1) {
      const at = slot * 4;
      if (
        ids[at + 3] === wanted[3] &&
        ids[at + 2] === wanted[2] &&
        ids[at + 1] === wanted[1] &&
        ids[at] === wanted[0]
      ) {
        break;
      }
      slot = this.#following[slot] as number;
      steps += 1;
    }
    if (steps > longestChain && this.#factor === 0) this.#hashCarefully();
    return slot;
  }

  /** The id of a taken slot. */
  idAt(slot: number): string {
    return this.#oddIds.get(slot) ?? readWords(this.#ids, slot * 4, 4);
  }

  /** Enters an id that is not there. */
  add(id: string, slot: number): void {
    const wanted = this.#wanted;
    if (id === this.#wantedId || writeWords(id, wanted, 0, 4)) {
      this.#wantedId = id;
      for (let i = 0; i < 4; i += 1) this.#ids[slot * 4 + i] = wanted[i] as number;
      this.#taken[slot] = 1;
      this.#chain(slot);
      return;
    }
    this.#wantedId = '';
    this.#odd.set(id, slot);
    this.#oddIds.set(slot, id);
  }

  /** Takes out the id of a slot. */
  remove(slot: number): void {
    if (this.#taken[slot] === 0) {
      this.#odd.delete(this.#oddIds.get(slot) ?? '');
      this.#oddIds.delete(slot);
      return;
    }
    this.#taken[slot] = 0;
    const following = this.#following;
    const after = following[slot] as number;
    const head = (this.#hashes[slot] as number) & (this.size - 1);
    let at = this.#heads[head] as number;
    if (at === slot) {
      this.#heads[head] = after;
      return;
    }
    while (at !== -1 && following[at] !== slot) at = following[at] as number;
    if (at !== -1) following[at] = after;
  }

  #chain(slot: number): void {
    const hash = this.#hash(this.#ids, slot * 4);
    this.#hashes[slot] = hash;
    const head = hash & (this.size - 1);
    this.#following[slot] = this.#heads[head] as number;
    this.#heads[head] = slot;
  }

  #hash(words: Uint32Array, from: number): number {
    const factor = this.#factor;
    // The last digits are random even in ids that begin with a time.
    if (factor === 0) return words[from + 3] as number;
    let hash = factor;
    for (let i = from; i < from + 4; i += 1) {
      hash = Math.imul(hash ^ (words[i] as number), factor);
      hash ^= hash >>> 15;
    }
    return hash;
  }

  /** From now on ids that were chosen to collide do not. */
  #hashCarefully(): void {
    this.#factor = ((Math.random() * 2 ** 31) | 0) * 2 + 1;
    this.#heads.fill(-1);
    for (let slot = 0; slot < this.size; slot += 1) if (this.#taken[slot] === 1) this.#chain(slot);
  }
}
