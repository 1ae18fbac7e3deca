import type { ChainHead, ParsedEntry } from './entry.js';

/** Something that waits for its place in the chain. */
export interface Waiting {
  readonly kind: ParsedEntry['kind'];
  /** The part of its text that does not depend on its place, or how it is made there. */
  readonly middle: string | ((head: ChainHead) => string);
  /** False for a record that nobody waits for: it stays queued when writing fails. */
  readonly waited: boolean;
}

/** What is written together; all who wait for a part of it share one promise. */
export interface Batch {
  readonly entries: Waiting[];
  written?: Promise<void> | undefined;
  resolve?: (() => void) | undefined;
  reject?: ((error: unknown) => void) | undefined;
}

/** Entries in the order in which they get their places, in batches of a bounded size. */
export class ChainQueue {
  readonly #mostEntries: number;
  #batches: Batch[] = [];
  #length = 0;

  /** @param mostEntries - Entries in one batch. */
  constructor(mostEntries: number) {
    this.#mostEntries = mostEntries;
  }

  /** Entries that wait. */
  get length(): number {
    return this.#length;
  }

  /** Queues an entry that nobody waits for. */
  push(kind: Waiting['kind'], middle: Waiting['middle']): void {
    this.#open().entries.push({ kind, middle, waited: false });
    this.#length += 1;
  }

  /** Queues an entry; resolves when it is written. */
  pushWaited(kind: Waiting['kind'], middle: Waiting['middle']): Promise<void> {
    const batch = this.#open();
    batch.entries.push({ kind, middle, waited: true });
    this.#length += 1;
    batch.written ??= new Promise<void>((resolve, reject) => {
      Object.assign(batch, { resolve, reject });
    });
    return batch.written;
  }

  /** Takes the oldest batch out. */
  take(): Batch | undefined {
    const batch = this.#batches.shift();
    if (batch !== undefined) this.#length -= batch.entries.length;
    return batch;
  }

  /** Refuses everything that somebody waits for, in that batch and behind it; the rest is queued again in its order. */
  refuse(taken: Batch, error: unknown): void {
    const refused = [taken, ...this.#batches];
    this.#batches = [];
    this.#length = 0;
    for (const { entries } of refused) {
      for (const { kind, middle, waited } of entries) if (!waited) this.push(kind, middle);
    }
    for (const { reject } of refused) reject?.(error);
  }

  #open(): Batch {
    const last = this.#batches.at(-1);
    if (last !== undefined && last.entries.length < this.#mostEntries) return last;
    const batch: Batch = { entries: [] };
    this.#batches.push(batch);
    return batch;
  }
}
