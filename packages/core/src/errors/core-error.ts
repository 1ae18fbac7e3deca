import { codes } from '../codes.js';
import { errorsOf, type MnopsError, type MnopsErrorOptions } from './mnops-error.js';

/** Creates an error with one of the codes that every package shares. */
export const coreError: (code: keyof typeof codes, message: string, options?: MnopsErrorOptions) => MnopsError =
  errorsOf(codes);

/**
 * Creates the error for a failed file operation: which path, what the system said and what to do.
 *
 * @param operation - What was tried, such as `open` or `write`.
 */
export function storageError(operation: string, path: string, cause: unknown): MnopsError {
  const reason = (cause as { code?: string } | undefined)?.code ?? 'unknown reason';
  return coreError('MNOPS_CORE_STORAGE_FAILED', `Cannot ${operation} ${path}: ${reason}.`, {
    operation,
    details: { path, reason },
    cause,
    retryable: reason === 'ENOSPC' || reason === 'EMFILE' || reason === 'EAGAIN',
  });
}
