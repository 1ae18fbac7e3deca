import type { Call, Spi } from './base.js';

/** Gives one owner at a time the right to act under a name. */
export interface Lease extends Spi<'lease'> {
  /** The held lease, or `undefined` while it is held, by another owner or by this one. */
  acquire(
    name: string,
    options: { readonly ttlMs: number; readonly owner: string },
    call: Call,
  ): Promise<HeldLease | undefined>;
}

/** The right to act, until it ends. */
export interface HeldLease {
  /** Fencing token: grows with every holder, so a store can refuse a stale one. */
  readonly token: bigint;
  /** Aborts a safety margin before the time-to-live ends, and when the lease is lost. */
  readonly signal: AbortSignal;
  /** Extends the lease by its time-to-live; rejects with `MNOPS_CORE_CONFLICT` once it is lost. */
  renew(call: Call): Promise<void>;
  /** Gives the lease up; a second call does nothing. */
  release(call: Call): Promise<void>;
}
