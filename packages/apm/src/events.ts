import type { PerformanceAnomaly } from './analysis/anomaly.js';
import type { DropReason } from './delivery/delivery-report.js';

/** Events of a `PerformanceMonitoringManager`. */
export interface APMEvents {
  /** An operation is not as usual, for at least `minDurationMs`. */
  readonly 'anomaly:opened': PerformanceAnomaly;
  /** It is as usual again. */
  readonly 'anomaly:closed': PerformanceAnomaly;
  /** Spans were given up. */
  readonly 'spans:dropped': {
    readonly exporter: string;
    readonly reason: DropReason;
    readonly count: number;
    readonly code?: string | undefined;
  };
  /** A back end does not answer; spans are held and sent again. */
  readonly 'exporter:down': { readonly exporter: string; readonly code: string };
  /** It answers again. */
  readonly 'exporter:up': { readonly exporter: string };
}
