import type { Entry } from './profile.js';

/**
 * What a metric says about a service.
 *
 * - `latency`: time that a call to the service takes
 * - `success`: share of calls that went well; the greatest value seen is what is usual
 * - `failures`: calls, or a share of them, that went wrong
 * - `usage`: how much of a resource the service takes, such as processor time or memory
 * - `traffic`: calls in a step of the series
 */
export type MetricRole = 'latency' | 'success' | 'failures' | 'usage' | 'traffic';

/** One metric of one service over time. */
export interface MetricSeries {
  readonly service: string;
  /** Name of the metric, the same for every service that has it; series of one name are compared with each other. */
  readonly name: string;
  readonly role: MetricRole;
  /** One replica that the series belongs to. */
  readonly instance?: string | undefined;
  /** Values with the epoch milliseconds at which their step begins. Values that are not finite, or beyond 1e150, count as missing. */
  readonly points: readonly MetricPoint[];
}

/** One value of a metric. */
export interface MetricPoint {
  readonly atMs: number;
  readonly value: number;
}

/** One line that a service wrote. */
export interface LogRecord {
  readonly service: string;
  /** Epoch milliseconds. */
  readonly atMs: number;
  readonly message: string;
  /** Level by any usual name. Default: what the first words of the message say. */
  readonly level?: string | undefined;
  readonly traceId?: string | undefined;
  /** Span that the line was written in. */
  readonly spanId?: string | undefined;
}

/** A service that calls another one. */
export interface CallEdge {
  readonly client: string;
  readonly server: string;
}

/** Where the trouble was seen. */
export interface RootCauseEntry extends Entry {
  /** Name of the metric of `service` that showed it. */
  readonly metric?: string | undefined;
}
