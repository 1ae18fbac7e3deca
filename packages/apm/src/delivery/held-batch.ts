import type { Span } from '@mnops/core/spi';
import type { QueuedSpan } from './span-lane.js';
import type { SpoolRecord } from './spool-segment.js';

/** Spans that are delivered together: in memory, on disk, or both. */
export interface HeldBatch {
  count: number;
  /** Estimated bytes in memory. */
  readonly bytes: number;
  /** Absent while they are on disk only. */
  spans: readonly Span[] | undefined;
  record: SpoolRecord | undefined;
  writing: boolean;
  /** Delivered or given up, while it may still be written. */
  done: boolean;
  /** Never to be written: too large, or its place on disk was given up. */
  memoryOnly: boolean;
  /** How often the back end refused it as bad data. */
  refusals: number;
  /** Monotonic time of the first of them, and the requests that the back end had taken by then. */
  refusedSinceMs?: number;
  takenBefore?: number;
  /** As many as it had taken when it was last refused alone. */
  refusedAloneAt?: number;
  /** Monotonic time before which none of them came. */
  readonly sinceMs: number;
  /** Those that it was made of: on disk they stand for it until it is written or done. */
  parts?: readonly HeldBatch[] | undefined;
}

/** A batch that is neither on disk nor refused so far. */
export function newBatch(spans: readonly Span[] | undefined, count: number, bytes: number, sinceMs = 0): HeldBatch {
  return {
    count,
    bytes,
    sinceMs,
    spans,
    record: undefined,
    writing: false,
    done: false,
    memoryOnly: false,
    refusals: 0,
  };
}

/** A batch of spans that came last. */
export function looseBatch(entries: readonly QueuedSpan[], sinceMs: number): HeldBatch {
  const bytes = entries.reduce((sum, entry) => sum + entry.bytes, 0);
  return newBatch(
    entries.map(({ span }) => span),
    entries.length,
    bytes,
    sinceMs,
  );
}

/** What is on disk in place of a batch that is not written itself. */
export function standIns({ parts = [] }: HeldBatch): readonly HeldBatch[] {
  return parts;
}
