import type { EventNames } from '@mnops/core/lifecycle';
import type { StorageDamage } from '@mnops/core/spi';
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
    /** What the exporter said, credentials in it replaced; absent where it did not fail. */
    readonly message?: string | undefined;
    /** What the exporter threw. */
    readonly cause?: unknown;
    /** Where they were put aside, if the back end refused them and there is a `folder`. */
    readonly file?: string | undefined;
  };
  /** A back end does not answer or does not take spans: they are held and sent again, unless `spans:dropped` says otherwise. */
  readonly 'exporter:down': {
    readonly exporter: string;
    readonly code: string;
    /** What the exporter said, credentials in it replaced. */
    readonly message: string;
    /** What the exporter threw. */
    readonly cause: unknown;
  };
  /** It takes spans again. */
  readonly 'exporter:up': { readonly exporter: string };
  /** A notifier did not take what was to be told of an anomaly. */
  readonly 'notification:failed': {
    readonly notifier: string;
    readonly code?: string | undefined;
    /** What the notifier said, credentials in it replaced. */
    readonly message: string;
    /** What the notifier threw. */
    readonly cause: unknown;
  };
  /** A part of a file in `folder` is damaged; what stood there is lost. */
  readonly 'storage:damaged': StorageDamage;
  /** Undelivered spans cannot be written to disk: they are held in memory only, and it is tried again every 30 s. */
  readonly 'spool:failed': {
    readonly exporter: string;
    readonly code: string;
    readonly message: string;
    /** What a person can do. */
    readonly remedy: string;
  };
  /** They can be written again. */
  readonly 'spool:recovered': { readonly exporter: string };
  /** Traces and what was learned cannot be written to `folder`: they are in memory only, and it is tried again every 30 s. */
  readonly 'folder:failed': {
    readonly folder: string;
    readonly code: string;
    /** The system's own name of the error, such as `ENOSPC`. */
    readonly reason: string;
    /** What a person can do. */
    readonly remedy: string;
  };
  /** They can be written again. */
  readonly 'folder:recovered': { readonly folder: string };
}

/** Their names. */
export const apmEvents: EventNames<APMEvents> = {
  'anomaly:opened': true,
  'anomaly:closed': true,
  'spans:dropped': true,
  'exporter:down': true,
  'exporter:up': true,
  'notification:failed': true,
  'storage:damaged': true,
  'spool:failed': true,
  'spool:recovered': true,
  'folder:failed': true,
  'folder:recovered': true,
};
