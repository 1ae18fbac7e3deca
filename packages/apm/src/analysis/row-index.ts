import { type CallRows, fractionStride, noRow, stride } from './call-rows.js';
import { hashOf, oddFactor } from './span-key.js';

/** Where an index keeps its numbers in each row. */
export interface IndexPlaces {
  /** Two halves of the id that a row is found by. */
  readonly key: number;
  /** Four links. */
  readonly links: number;
  /** Fraction with the time since when the row is in the index. */
  readonly since: number;
}

// Links of a row: the next and the previous with the same id, the one that came later and the one that came earlier.
const next = 0;
const previous = 1;
const later = 2;
const earlier = 3;

/** Rows by an id, which several may share, and in order of arrival. */
export class RowIndex {
  readonly #rows: CallRows;
  readonly #key: number;
  readonly #links: number;
  readonly #since: number;
  /**
   * Hash and row and 1 of each id, in open addressing: whether an id is here is mostly told by the hash alone, without
   * a look at rows that lie far from each other in memory.
   */
  #table = new Int32Array(2 * 64);
  #shift = 26;
  #ids = 0;
  // Ids come from outside: nobody must be able to choose many of one hash.
  readonly #highFactor = oddFactor();
  readonly #lowFactor = oddFactor();
  #oldest = noRow;
  #newest = noRow;
  #size = 0;

  constructor(rows: CallRows, { key, links, since }: IndexPlaces) {
    this.#rows = rows;
    this.#key = key;
    this.#links = links;
    this.#since = since;
  }

  get size(): number {
    return this.#size;
  }

  /** The row that came first. */
  get oldest(): number {
    return this.#oldest;
  }

  /** Of the rows with one id the one that came last. */
  find(high: number, low: number): number {
    return (this.#table[this.#placeOf(this.#hash(high, low), high, low) + 1] as number) - 1;
  }

  since(row: number): number {
    return this.#rows.fractions[row * fractionStride + this.#since] as number;
  }

  /** The row that came after this one. */
  after(row: number): number {
    return this.#rows.number(row, this.#links + later);
  }

  add(row: number, nowMs: number): void {
    if ((this.#ids + 1) * 4 > this.#table.length) this.#grow();
    const { numbers, fractions } = this.#rows;
    fractions[row * fractionStride + this.#since] = nowMs;
    const keyAt = row * stride + this.#key;
    const high = numbers[keyAt] as number;
    const low = numbers[keyAt + 1] as number;
    const hash = this.#hash(high, low);
    const place = this.#placeOf(hash, high, low);
    const same = (this.#table[place + 1] as number) - 1;
    const at = row * stride + this.#links;
    numbers[at + next] = same;
    numbers[at + previous] = noRow;
    if (same === noRow) this.#ids += 1;
    else numbers[same * stride + this.#links + previous] = row;
    this.#table[place] = hash;
    this.#table[place + 1] = row + 1;
    numbers[at + later] = noRow;
    numbers[at + earlier] = this.#newest;
    if (this.#newest === noRow) this.#oldest = row;
    else numbers[this.#newest * stride + this.#links + later] = row;
    this.#newest = row;
    this.#size += 1;
  }

  remove(row: number): void {
    const { numbers } = this.#rows;
    const links = this.#links;
    const at = row * stride + links;
    const following = numbers[at + next] as number;
    const preceding = numbers[at + previous] as number;
    if (following !== noRow) numbers[following * stride + links + previous] = preceding;
    if (preceding !== noRow) numbers[preceding * stride + links + next] = following;
    else this.#replace(row, following);
    const newer = numbers[at + later] as number;
    const older = numbers[at + earlier] as number;
    if (newer === noRow) this.#newest = older;
    else numbers[newer * stride + links + earlier] = older;
    if (older === noRow) this.#oldest = newer;
    else numbers[older * stride + links + later] = newer;
    this.#size -= 1;
  }

  /** Puts the next row with the same id in the place of the one that stands for it. */
  #replace(row: number, following: number): void {
    const { numbers } = this.#rows;
    const table = this.#table;
    const keyAt = row * stride + this.#key;
    const last = table.length - 2;
    let place = this.#firstPlace(this.#hash(numbers[keyAt] as number, numbers[keyAt + 1] as number));
    while (table[place + 1] !== row + 1) place = (place + 2) & last;
    if (following !== noRow) {
      table[place + 1] = following + 1;
      return;
    }
    this.#ids -= 1;
    // Those behind move up, unless they stand at or behind their first place already.
    for (let from = (place + 2) & last; table[from + 1] !== 0; from = (from + 2) & last) {
      const first = this.#firstPlace(table[from] as number);
      if (((from - first) & last) < ((from - place) & last)) continue;
      table[place] = table[from] as number;
      table[place + 1] = table[from + 1] as number;
      place = from;
    }
    table[place + 1] = 0;
  }

  /** Where an id stands in the table, or the free place where it would. */
  #placeOf(hash: number, high: number, low: number): number {
    const table = this.#table;
    const { numbers } = this.#rows;
    const key = this.#key;
    const last = table.length - 2;
    let place = this.#firstPlace(hash);
    for (;;) {
      const row = (table[place + 1] as number) - 1;
      if (row === noRow) return place;
      if (table[place] === hash) {
        const at = row * stride + key;
        if (numbers[at] === high && numbers[at + 1] === low) return place;
      }
      place = (place + 2) & last;
    }
  }

  #firstPlace(hash: number): number {
    return (hash >>> this.#shift) * 2;
  }

  #grow(): void {
    const table = this.#table;
    const wider = new Int32Array(table.length * 2);
    this.#table = wider;
    this.#shift -= 1;
    const last = wider.length - 2;
    for (let at = 0; at < table.length; at += 2) {
      if (table[at + 1] === 0) continue;
      let place = this.#firstPlace(table[at] as number);
      while (wider[place + 1] !== 0) place = (place + 2) & last;
      wider[place] = table[at] as number;
      wider[place + 1] = table[at + 1] as number;
    }
  }

  #hash(high: number, low: number): number {
    return hashOf(high, low, this.#highFactor, this.#lowFactor);
  }
}
