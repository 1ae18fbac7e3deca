/** The time that is looked at, epoch milliseconds. */
export interface LoadTimes {
  /** Beginning of what is compared with. */
  readonly fromMs: number;
  /** When the trouble began. */
  readonly atMs: number;
  /** End of the trouble, or now. */
  readonly toMs: number;
}

/** What a source gave so far. */
export interface Loaded<T> {
  readonly items: readonly T[];
  /** What is missing and why; empty when nothing is. */
  readonly notes: readonly string[];
}
