import type { CallOptions, Spi } from './base.js';

/** A secret value as other packages see it: it does not print itself. */
export interface ResolvedSecret {
  /** The text. Keep it no longer than the use. */
  reveal(): string;
  /** Version it was read from, opaque. */
  readonly version: string;
}

/** Turns `secret://path[@version][#key]` references in any host's configuration into values. */
export interface SecretResolver extends Spi<'secret-resolver'> {
  /** The value behind the reference; rejects with `MNOPS_CORE_NOT_FOUND` when nothing is stored there. */
  resolve(reference: string, options?: CallOptions): Promise<ResolvedSecret>;
  /** Calls the listener after each change; returns a function that ends the subscription. */
  subscribe?(reference: string, listener: (next: ResolvedSecret) => void): () => void;
}
