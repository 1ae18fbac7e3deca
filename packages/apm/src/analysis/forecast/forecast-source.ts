import type { Operation } from '../operation.js';
import type { LoadHistory } from './load-history.js';

/** Where the past of the operations is. */
export interface ForecastSource {
  readonly operations: readonly Operation[];
  readonly history: LoadHistory;
  readonly seasonMs: number;
  readonly stepMs: number;
  /** Epoch milliseconds up to which buckets have been closed. */
  readonly untilMs: number;
}
