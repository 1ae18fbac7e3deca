import type { PlacedEntry } from './entry.js';

/** The last entries of a chain that is kept in memory only. */
export class EntryRing {
  readonly #most: number;
  readonly #entries: PlacedEntry[] = [];
  #oldest = 0;

  constructor(most: number) {
    this.#most = most;
  }

  push(entry: PlacedEntry): void {
    if (this.#entries.length < this.#most) {
      this.#entries.push(entry);
      return;
    }
    this.#entries[this.#oldest] = entry;
    this.#oldest = (this.#oldest + 1) % this.#most;
  }

  /** Oldest first. */
  entries(): readonly PlacedEntry[] {
    return [...this.#entries.slice(this.#oldest), ...this.#entries.slice(0, this.#oldest)];
  }
}
