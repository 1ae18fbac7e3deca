import { joinTraces } from '../store/join-traces.js';
import type { HeldTrace } from '../store/trace-ring.js';
import { packTraces, readHead, unpackTraces } from './trace-codec.js';
import type { TraceSegments } from './trace-segments.js';

/** Milliseconds without a further span after which a trace is written. */
const quietMs = 2_000;
/** Traces and spans of one record. */
const recordTraces = 256;
const recordSpans = 1_000;
/** Spans of traces that left the memory before they were written. */
const maxEvictedSpans = 20_000;
/** Ids of traces that were written, remembered to find out which are written again. */
const maxWritten = 20_000;

/** Traces on their way to the disk and back. */
export class TraceKeeper {
  readonly #segments: TraceSegments;
  readonly #find: (traceId: string) => HeldTrace | undefined;
  /** Traces with spans that are not written, and when the last one came. */
  readonly #pending = new Map<string, number>();
  readonly #evicted: HeldTrace[] = [];
  #evictedSpans = 0;
  /** Spans that have come so far. */
  spans = 0;
  written = 0;
  /** Traces that could not be written. */
  lost = 0;

  constructor(segments: TraceSegments, find: (traceId: string) => HeldTrace | undefined) {
    this.#segments = segments;
    this.#find = find;
  }

  get waiting(): number {
    return this.#pending.size + this.#evicted.length;
  }

  /** A span of this trace has come. */
  seen(traceId: string, nowMs: number): void {
    this.spans += 1;
    this.#pending.set(traceId, nowMs);
  }

  /** The trace leaves the memory now. */
  evicting(trace: HeldTrace): void {
    if (!this.#pending.delete(trace.traceId)) return;
    const { spans } = trace;
    if (this.#evictedSpans + spans.length > maxEvictedSpans) {
      this.lost += 1;
      return;
    }
    this.#evictedSpans += spans.length;
    this.#evicted.push({ ...trace, spans });
  }

  /** Writes the traces that had no span for a while; `all`: every one. What cannot be written is given up. */
  async save(owner: string, nowMs: number, all = false): Promise<void> {
    const due: HeldTrace[] = this.#evicted.splice(0);
    this.#evictedSpans = 0;
    for (const [traceId, seenMs] of this.#pending) {
      if (!all && nowMs - seenMs < quietMs) continue;
      this.#pending.delete(traceId);
      const trace = this.#find(traceId);
      if (trace !== undefined) due.push(trace);
    }
    for (let from = 0; from < due.length; ) {
      let to = from;
      let spans = 0;
      while (to < due.length && to - from < recordTraces && (to === from || spans < recordSpans)) {
        spans += (due[to] as HeldTrace).spans.length;
        to += 1;
      }
      try {
        await this.#segments.append(owner, await packTraces(due.slice(from, to)));
      } catch (error) {
        this.lost += due.length - from;
        throw error;
      }
      this.written += to - from;
      from = to;
    }
  }

  /** The trace as it is on disk, from all records that hold a part of it. */
  async get(traceId: string, signal?: AbortSignal): Promise<HeldTrace | undefined> {
    let found: HeldTrace | undefined;
    for await (const payload of this.#segments.newestFirst()) {
      signal?.throwIfAborted();
      if (readHead(payload)?.traceIds.includes(traceId) !== true) continue;
      for (const trace of await unpacked(payload)) {
        if (trace.traceId === traceId) found = found === undefined ? trace : joinTraces(found, trace);
      }
    }
    return found;
  }

  /** Traces on disk in about the order of their end, newest first; one that was written twice comes with all its spans. */
  async *newestFirst(range: TimeRange, signal?: AbortSignal): AsyncIterable<HeldTrace> {
    const again = new Set<string>();
    for await (const payload of this.#segments.newestFirst()) {
      signal?.throwIfAborted();
      const head = readHead(payload);
      if (head === undefined || head.maxStartMs < range.fromMs || head.minStartMs > range.toMs) continue;
      if (range.error === true && !head.anyError) continue;
      for (const trace of (await unpacked(payload)).toReversed()) {
        if (again.has(trace.traceId)) continue;
        if (again.size < maxWritten) again.add(trace.traceId);
        yield trace;
      }
    }
  }
}

/** Which records are worth unpacking. */
export interface TimeRange {
  readonly fromMs: number;
  readonly toMs: number;
  readonly error?: boolean | undefined;
}

async function unpacked(payload: Uint8Array): Promise<HeldTrace[]> {
  try {
    return await unpackTraces(payload);
  } catch {
    // Its check value is right, so it was written by another version.
    return [];
  }
}
