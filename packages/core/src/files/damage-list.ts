import type { StorageDamage } from '../spi/base.js';

/** Most entries that are kept apart; further ones are added up in the last. */
const mostEntries = 1_000;

/** What was found damaged in one file, each place once. */
export class DamageList {
  readonly #file: string;
  readonly #byOffset = new Map<number, StorageDamage>();

  constructor(file: string) {
    this.#file = file;
  }

  /** The entries by position. */
  get entries(): readonly StorageDamage[] {
    return [...this.#byOffset.values()];
  }

  has(offset: number): boolean {
    return this.#byOffset.has(offset);
  }

  /** Adds a place, or corrects the count of one that is known. */
  add(offset: number, records: number, remedy: string): void {
    const entry = { code: 'MNOPS_CORE_STORAGE_DAMAGED', file: this.#file, offset, records, remedy };
    if (this.#byOffset.has(offset) || this.#byOffset.size < mostEntries) {
      this.#byOffset.set(offset, entry);
      return;
    }
    const last = [...this.#byOffset.values()].at(-1);
    if (last === undefined || offset < last.offset) return;
    this.#byOffset.set(last.offset, { ...last, records: last.records + records });
  }
}
