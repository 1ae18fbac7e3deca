import type { EventNames } from '@mnops/core/lifecycle';
import type { LogLevel, StorageDamage } from '@mnops/core/spi';
import type { CollectionStats } from './collect/collection.js';
import type { SinkStats } from './line-dispatch.js';
import type { DropReason } from './store/store-writer.js';

/** Counters of a manager. */
export interface LogStats {
  /** Lines written by loggers, by level. */
  readonly written: Readonly<Record<LogLevel, number>>;
  /** Values removed by redaction. */
  readonly redacted: number;
  /** Values that could not be encoded and have a placeholder. */
  readonly placeholders: number;
  /** Log calls whose line could not be made. */
  readonly failed: number;
  /** Lines given up: before the start or by the store over the limit, at the stop while the store took none, or after it. */
  readonly lost: number;
  readonly sinks: Readonly<Record<string, SinkStats>>;
  readonly store: {
    readonly kind: string | undefined;
    readonly queuedBytes: number;
    readonly failing: boolean;
    /** Damaged places found. */
    readonly damaged: number;
  };
  readonly collections: Readonly<Record<string, CollectionStats>>;
}

/** Events of a manager. */
export interface LogEvents {
  /** A sink does not take lines; they are kept up to the limit. */
  readonly 'sink:failed': { readonly sink: string; readonly error: Error };
  readonly 'sink:recovered': { readonly sink: string };
  /** The store does not take lines; they are kept up to the limit. */
  readonly 'store:failed': { readonly error: Error };
  /**
   * Lines were given up, because the limit was reached (`queue-full`) or because they could still not be written when the
   * manager stopped (`stopped`); `from` is a sink's id or `store`.
   */
  readonly 'lines:dropped': { readonly from: string; readonly lines: number; readonly reason: DropReason };
  /** Part of the store is damaged; the rest is in use. */
  readonly 'storage:damaged': StorageDamage;
  /** A source failed or ended; it is opened again from its last position. */
  readonly 'source:failed': { readonly source: string; readonly error: Error };
}

/** Their names. */
export const logEvents: EventNames<LogEvents> = {
  'sink:failed': true,
  'sink:recovered': true,
  'store:failed': true,
  'lines:dropped': true,
  'storage:damaged': true,
  'source:failed': true,
};
