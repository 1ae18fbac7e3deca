import type { SpanKindName } from '@mnops/core/spi';
import type { LatencySketchState } from '../analysis/latency-sketch.js';
import type { Connection } from '../analysis/span-facts.js';
import type { CellState, StatsState } from './stats-state.js';

/** What is usual for one operation of one process. */
export interface OperationState {
  readonly service: string;
  readonly operation: string;
  readonly kind: SpanKindName | 'metric';
  readonly labels?: Readonly<Record<string, string>> | undefined;
  readonly firstMs: number;
  readonly lastMs: number;
  readonly level: 'hour-of-week' | 'hour-of-day' | 'all';
  readonly all: StatsState;
  readonly weekly: readonly CellState[];
  readonly daily: readonly CellState[];
  /** Spans that are not part of the figures above. */
  readonly stretches: readonly { readonly fromMs: number; readonly toMs: number; readonly stats: StatsState }[];
}

/** Calls from one service to another as one process saw them. */
export interface EdgeState {
  readonly client: string;
  readonly server: string;
  readonly connection: Connection;
  readonly calls: number;
  readonly errors: number;
  readonly lastSeenMs: number;
  readonly clientMs: LatencySketchState;
  readonly serverMs: LatencySketchState;
}

/** One service that sent spans. */
export interface NodeState {
  readonly service: string;
  readonly calls: number;
  readonly errors: number;
  readonly durationMs: LatencySketchState;
}

/** A span whose other side one process has not seen; another process may have. */
export interface HalfState {
  readonly spanId: string;
  readonly parentSpanId?: string | undefined;
  readonly service: string;
  readonly kind: SpanKindName;
  readonly endMs: number;
  readonly durationMs: number;
  readonly error: boolean;
  /** How many spans it stands for; absent: one. */
  readonly count?: number | undefined;
  readonly peer?: { readonly name: string; readonly connection: Connection } | undefined;
}

/** Everything that one process learned. */
export interface SourceState {
  /** Unique per process; a process that goes on from a folder keeps it. */
  readonly id: string;
  /** A newer state of a source replaces an older one. */
  readonly sequence: number;
  /** Epoch milliseconds. */
  readonly atMs: number;
  readonly operations: readonly OperationState[];
  readonly edges: readonly EdgeState[];
  readonly nodes: readonly NodeState[];
  /** At most the newest 2,000 of either side. */
  readonly waiting: { readonly callers: readonly HalfState[]; readonly called: readonly HalfState[] };
}

/** Baselines and map of one or several processes, ready for `JSON.stringify`. */
export interface APMSnapshot {
  readonly format: 'mnops-apm-snapshot';
  readonly version: 1;
  /** Resolution of all sketches: buckets per power of two. */
  readonly bucketsPerOctave: number;
  readonly sources: readonly SourceState[];
}
