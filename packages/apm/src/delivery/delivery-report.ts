/** Why spans were given up. */
export type DropReason = 'queue-full' | 'rejected' | 'too-large' | 'failed' | 'stopped';

/** Where the spans of one exporter are. `accepted` is always `delivered + held + the sum of dropped`. */
export interface ExporterStats {
  /** Finished spans that were handed to delivery. */
  readonly accepted: number;
  /** Spans that the back end took. */
  readonly delivered: number;
  /** Spans in the queue or on their way. */
  readonly held: number;
  /** Spans given up, by reason. */
  readonly dropped: Readonly<Record<DropReason, number>>;
  /** Requests that were sent again. */
  readonly retries: number;
  /** Whether the last request failed in a way that is tried again. */
  readonly down: boolean;
}

/** Where the spans are after a flush or a stop, by exporter id. */
export interface DeliveryReport {
  readonly exporters: Readonly<Record<string, ExporterStats>>;
}
