import type { CircuitState } from './circuit.js';

/**
 * Why spans were given up. `queue-full`: more waited than memory holds. `rejected`: the back end refused them.
 * `too-large`: also with its texts cut. `failed`: an error that is not tried again. `stopped`: the manager was stopped.
 * `spool-full`, `spool-expired`, `spool-damaged`: on disk there were too many, they were too old, or could not be read.
 */
export type DropReason =
  | 'queue-full'
  | 'rejected'
  | 'too-large'
  | 'failed'
  | 'stopped'
  | 'spool-full'
  | 'spool-expired'
  | 'spool-damaged';

/** Where the spans of one exporter are. `accepted` is always `delivered + held + the sum of dropped`. */
export interface ExporterStats {
  /** Finished spans that were handed to delivery, `replayed` among them. */
  readonly accepted: number;
  /** Spans that the back end took. */
  readonly delivered: number;
  /** Spans in memory, on disk, or on their way. */
  readonly held: number;
  /** Spans of ended processes that were found on disk. */
  readonly replayed: number;
  /** Spans given up, by reason. */
  readonly dropped: Readonly<Record<DropReason, number>>;
  /** Delivered spans whose texts had to be cut, because the back end takes no larger ones. */
  readonly shortened: number;
  /** Requests that were sent again. */
  readonly retries: number;
  /** Whether the back end takes no spans: it is away, refuses the credential or the address, or one batch after the other. */
  readonly down: boolean;
  /** How a failing back end is asked: `open` means rarely. */
  readonly circuit: CircuitState;
  /** What is on disk; absent without `folder`. */
  readonly spool?: SpoolStats | undefined;
}

/** What is on disk for one exporter. */
export interface SpoolStats {
  readonly segments: number;
  readonly bytes: number;
  /** Undelivered spans on disk; the newest of them may be in memory too. */
  readonly spans: number;
  /** Bytes of what could be neither read nor delivered. */
  readonly quarantinedBytes: number;
  /** Damaged records that were found; each held up to as many spans as one request. */
  readonly damagedRecords: number;
  /** False while the disk takes nothing. */
  readonly writable: boolean;
}

/** Where the spans are after a flush or a stop, by exporter id. */
export interface DeliveryReport {
  readonly exporters: Readonly<Record<string, ExporterStats>>;
}
