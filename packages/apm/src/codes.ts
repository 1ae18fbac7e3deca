import { type CodeEntry, errorsOf, type MnopsError, type MnopsErrorOptions } from '@mnops/core';

/** Error codes of this package. The page `docs/errors.md` is generated from this table. */
export const codes = {
  MNOPS_APM_EXPORT_REJECTED: {
    retryable: false,
    meaning: 'The back end refused the spans for good; sending them again would be useless.',
    remedy: 'Look at the status in the message, and check that the address and the protocol are those of the back end.',
  },
  MNOPS_APM_SPANS_INVALID: {
    retryable: false,
    meaning: 'What was handed in as spans is not an OTLP request in JSON.',
    remedy: 'Send `ExportTraceServiceRequest` in the JSON encoding of OTLP.',
  },
} as const;
codes satisfies Readonly<Record<`MNOPS_APM_${string}`, CodeEntry>>;

/** Name of an error code of this package. */
export type ApmErrorCode = keyof typeof codes;

/** Creates an error with one of this package's codes. */
export const apmError: (code: keyof typeof codes, message: string, options?: MnopsErrorOptions) => MnopsError =
  errorsOf(codes);
