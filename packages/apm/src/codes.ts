import { type CodeEntry, errorsOf, type MnopsError, type MnopsErrorOptions } from '@mnops/core';

/** Error codes of this package. The page `docs/errors.md` is generated from this table. */
export const codes = {
  MNOPS_APM_EXPORT_REJECTED: {
    retryable: false,
    meaning: 'The back end refused the spans for good; sending them again would be useless.',
    remedy: 'Look at the status in the message, and check that the address and the protocol are those of the back end.',
  },
  MNOPS_APM_SKETCH_MISMATCH: {
    retryable: false,
    meaning: 'A snapshot holds latency sketches of another resolution, which cannot be merged with those here.',
    remedy: 'Run the same version of the package in all processes that share their figures.',
  },
  MNOPS_APM_SNAPSHOT_INVALID: {
    retryable: false,
    meaning: 'What was handed in as a snapshot is none; the message and `details.field` name the first wrong field.',
    remedy: 'Hand in what `exportSnapshot()` of the same version returned, as it was or through JSON.',
  },
  MNOPS_APM_SPANS_INVALID: {
    retryable: false,
    meaning: 'What was handed in as spans is not an OTLP request.',
    remedy: 'Send `ExportTraceServiceRequest` in the protobuf or the JSON encoding of OTLP.',
  },
} as const;
codes satisfies Readonly<Record<`MNOPS_APM_${string}`, CodeEntry>>;

/** Name of an error code of this package. */
export type ApmErrorCode = keyof typeof codes;

/** Creates an error with one of this package's codes. */
export const apmError: (code: keyof typeof codes, message: string, options?: MnopsErrorOptions) => MnopsError =
  errorsOf(codes);
