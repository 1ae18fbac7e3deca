const keepReasons = ['head', 'rule', 'error', 'slow', 'rare', 'caller', 'probability'] as const;

/** Why a trace was kept. `head`: no tail sampling took place. `caller`: the service that called had decided to keep it. */
export type KeepReason = (typeof keepReasons)[number];

/** Whether a span attribute says why its trace was kept. */
export function isKeepReason(value: unknown): value is KeepReason {
  return (keepReasons as readonly unknown[]).includes(value);
}

/** Why finished spans were not kept. */
export type SamplingDropReason =
  /** The head sampler recorded them for the analysis only. */
  | 'not-sampled'
  /** A rule of tail sampling drops their trace. */
  | 'rule'
  /** Nothing was special about their trace, and the probability passed it over. */
  | 'probability'
  /** The probability chose their trace, but it was over `maxTracesPerSecond`. */
  | 'rate'
  /** Their trace had more spans than may wait. */
  | 'trace-too-large';

/** What sampling did so far. Spans finished = kept + waiting + the sum of dropped. */
export interface SamplingStats {
  /** Spans that were not recorded at all. They are not part of the figures below. */
  readonly unsampledSpans: number;
  /** Share of the traces offered to head rate limits that they let through; 1 without one. */
  readonly headRate: number;
  readonly keptSpans: number;
  readonly droppedSpans: Readonly<Record<SamplingDropReason, number>>;
  /** Finished spans of traces that are not decided yet, and their estimated bytes. */
  readonly waitingSpans: number;
  readonly waitingBytes: number;
  /** Traces decided at the end of a local root, by what became of them. */
  readonly keptTraces: Readonly<Record<KeepReason, number>>;
  readonly droppedTraces: number;
  /** Traces decided before their local root had ended: for their size, for the bytes of all, or after ten minutes. */
  readonly decidedEarly: number;
  /** Spans that came after the decision on their trace, and followed it. */
  readonly lateSpans: number;
}
