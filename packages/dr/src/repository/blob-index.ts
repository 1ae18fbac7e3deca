/** What a blob is: file content, or a folder's list of nodes. */
export type BlobType = 'data' | 'tree';

/** Where one blob is stored. */
export interface BlobLocation {
  /** Number of the pack in `PackTable`. */
  readonly pack: number;
  readonly offset: number;
  /** Stored bytes, envelope included. */
  readonly length: number;
  /** Bytes before compression; 0 when the blob is stored as it is. */
  readonly rawLength: number;
}

const firstCapacity = 1024;

/**
 * Every known blob by its id: a hash table in typed arrays, 53 bytes per blob and no object per entry.
 *
 * A blob may be entered several times, for several packs.
 */
export class BlobIndex {
  #capacity = firstCapacity;
  #count = 0;
  #ids: Buffer = Buffer.allocUnsafeSlow(firstCapacity * 32);
  #places: Uint32Array = new Uint32Array(firstCapacity * 4);
  #types: Uint8Array = new Uint8Array(firstCapacity);
  #slots: Uint32Array = new Uint32Array(firstCapacity * 2);

  /** Entries so far; they are numbered from 0 in the order in which they came. */
  get count(): number {
    return this.#count;
  }

  add(type: BlobType, id: Buffer, { pack, offset, length, rawLength }: BlobLocation): void {
    if (this.#count === this.#capacity) this.#grow();
    const entry = this.#count;
    this.#count += 1;
    this.#ids.set(id, entry * 32);
    this.#types[entry] = typeNumber(type);
    this.#places.set([pack, offset, length, rawLength], entry * 4);
    this.#enter(entry);
  }

  /** Whether any entry for the blob satisfies the condition; without one, whether there is an entry. */
  has(type: BlobType, id: Buffer, usable?: (pack: number) => boolean): boolean {
    let slot = this.#firstSlot(id, 0);
    for (;;) {
      const entry = this.#nextMatch(type, id, slot);
      if (entry === -1) return false;
      if (usable === undefined || usable(this.#places[entry * 4] ?? 0)) return true;
      slot = this.#slotBehind(entry, slot);
    }
  }

  /** Every place where the blob is stored. */
  locations(type: BlobType, id: Buffer): BlobLocation[] {
    const found: BlobLocation[] = [];
    let slot = this.#firstSlot(id, 0);
    for (;;) {
      const entry = this.#nextMatch(type, id, slot);
      if (entry === -1) return found;
      found.push(this.#location(entry));
      slot = this.#slotBehind(entry, slot);
    }
  }

  /** Visits every entry, in the order in which they came. */
  *entries(): Generator<{ readonly type: BlobType; readonly id: Buffer; readonly location: BlobLocation }> {
    for (let entry = 0; entry < this.#count; entry++) {
      const id = this.#ids.subarray(entry * 32, entry * 32 + 32);
      yield { type: this.#types[entry] === 1 ? 'tree' : 'data', id, location: this.#location(entry) };
    }
  }

  #location(entry: number): BlobLocation {
    const [pack = 0, offset = 0, length = 0, rawLength = 0] = this.#places.subarray(entry * 4, entry * 4 + 4);
    return { pack, offset, length, rawLength };
  }

  /** Ids are hashes already, so their first bytes are the hash. */
  #firstSlot(id: Buffer, at: number): number {
    return id.readUInt32LE(at) % this.#slots.length;
  }

  #slotBehind(entry: number, from: number): number {
    let slot = from;
    while (this.#slots[slot] !== entry + 1) slot = (slot + 1) % this.#slots.length;
    return (slot + 1) % this.#slots.length;
  }

  #nextMatch(type: BlobType, id: Buffer, from: number): number {
    const number = typeNumber(type);
    for (let slot = from; ; slot = (slot + 1) % this.#slots.length) {
      const filled = this.#slots[slot] ?? 0;
      if (filled === 0) return -1;
      const entry = filled - 1;
      if (this.#types[entry] === number && this.#ids.compare(id, 0, 32, entry * 32, entry * 32 + 32) === 0)
        return entry;
    }
  }

  #enter(entry: number): void {
    let slot = this.#firstSlot(this.#ids, entry * 32);
    while (this.#slots[slot] !== 0) slot = (slot + 1) % this.#slots.length;
    this.#slots[slot] = entry + 1;
  }

  #grow(): void {
    this.#capacity *= 2;
    const ids = Buffer.allocUnsafeSlow(this.#capacity * 32);
    ids.set(this.#ids);
    this.#ids = ids;
    const places = new Uint32Array(this.#capacity * 4);
    places.set(this.#places);
    this.#places = places;
    const types = new Uint8Array(this.#capacity);
    types.set(this.#types);
    this.#types = types;
    this.#slots = new Uint32Array(this.#capacity * 2);
    for (let entry = 0; entry < this.#count; entry++) this.#enter(entry);
  }
}

function typeNumber(type: BlobType): number {
  return type === 'tree' ? 1 : 0;
}
