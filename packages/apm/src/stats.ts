import type { ExporterStats } from './delivery/delivery-report.js';
import type { DiskStats } from './disk/kept-folder.js';
import type { NoticeStats } from './manager/anomaly-notices.js';
import type { MetricStats } from './metrics/metric.js';
import type { SamplingStats } from './sampling/sampling-stats.js';
import type { SharedStats } from './snapshot/shared-figures.js';
import type { TraceRingStats } from './store/trace-ring.js';
import type { SpanCounts } from './tracing/tracing.js';

/** Counters of a `PerformanceMonitoringManager` since it was made. */
export interface APMStats {
  readonly spans: SpanCounts & {
    /** Finished spans of other processes, taken and refused. */
    readonly ingested: number;
    readonly rejected: number;
  };
  readonly sampling: SamplingStats;
  readonly traces: TraceRingStats;
  readonly analysis: {
    readonly operations: number;
    /** Spans counted under `(other)`. */
    readonly operationsOverflowed: number;
    readonly dependenciesOverflowed: number;
    /** Spans whose other side has not come yet. */
    readonly waitingForOtherSide: number;
    readonly requestSeries: number;
    readonly requestsOverflowed: number;
  };
  /** Calls such as `trace` or `recordMetric` with a name, an option or a value that was not used; a process warning says which. */
  readonly ignoredInputs: number;
  readonly metrics: MetricStats;
  /** Figures of other processes that are counted in. */
  readonly shared: SharedStats;
  /** Traces and numbers in `folder`; absent without one. */
  readonly disk?: DiskStats | undefined;
  readonly notifications: NoticeStats;
  /** By exporter id. For each, spans handed over = delivered + held + the sum of dropped. */
  readonly exporters: Readonly<Record<string, ExporterStats>>;
}
