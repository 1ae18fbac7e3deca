import { MnopsError } from '@mnops/core';
import type { Clock, ObjectStore } from '@mnops/core/spi';
import './every-subpath.js';

export function reasonOf(error: unknown): string {
  return MnopsError.is(error, 'MNOPS_CORE_TIMEOUT') ? `${error.code}: ${error.message}` : 'unknown';
}

export type Parts = { readonly clock: Clock; readonly store: ObjectStore };
