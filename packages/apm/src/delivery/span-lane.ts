import type { Span } from '@mnops/core/spi';

/** One span that waits, with its estimated bytes and its place among all of them. */
export interface QueuedSpan {
  readonly span: Span;
  readonly bytes: number;
  readonly order: number;
}

/** A first-in, first-out list that gives back its front without moving the rest each time. */
export class SpanLane {
  #entries: QueuedSpan[] = [];
  #head = 0;

  get size(): number {
    return this.#entries.length - this.#head;
  }

  get first(): QueuedSpan | undefined {
    return this.#entries[this.#head];
  }

  push(entry: QueuedSpan): void {
    this.#entries.push(entry);
  }

  shift(): QueuedSpan | undefined {
    const entry = this.#entries[this.#head];
    if (entry === undefined) return undefined;
    this.#head += 1;
    if (this.#head > 1_024 || this.#head === this.#entries.length) {
      this.#entries.splice(0, this.#head);
      this.#head = 0;
    }
    return entry;
  }

  /** Puts entries before all others, in their order. */
  unshift(entries: readonly QueuedSpan[]): void {
    if (entries.length === 0) return;
    this.#entries = [...entries, ...this.#entries.slice(this.#head)];
    this.#head = 0;
  }
}
