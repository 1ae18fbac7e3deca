import { type CodeEntry, errorsOf, type MnopsError, type MnopsErrorOptions } from '@mnops/core';

/** Error codes of this package. The page `docs/errors.md` is generated from this table. */
export const codes = {
  MNOPS_LOGGING_SINK_FAILED: {
    retryable: true,
    meaning: 'A sink does not take lines; they are kept up to the limit and tried again.',
    remedy: 'Look at `cause`: make room on the disk, or make the path writable.',
  },
  MNOPS_LOGGING_STORE_FAILED: {
    retryable: true,
    meaning: 'The store does not take lines; they are kept up to the limit and tried again.',
    remedy: 'Look at `cause`: make room on the disk, or make the folder writable.',
  },
  MNOPS_LOGGING_SOURCE_FAILED: {
    retryable: true,
    meaning: 'A source of log lines failed or ended; it is opened again from its last checkpoint.',
    remedy: 'Look at `cause` if it does not come back by itself.',
  },
} as const;
codes satisfies Readonly<Record<`MNOPS_LOGGING_${string}`, CodeEntry>>;

/** Name of an error code of this package. */
export type LoggingErrorCode = keyof typeof codes;

/** Creates an error of this package. */
export const loggingError: (code: LoggingErrorCode, message: string, options?: MnopsErrorOptions) => MnopsError =
  errorsOf(codes);
