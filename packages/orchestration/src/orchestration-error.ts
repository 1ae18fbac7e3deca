import { errorsOf, type MnopsError, type MnopsErrorOptions } from '@mnops/core';
import { codes, type OrchestrationErrorCode } from './codes.js';

/** Creates an error with one of this package's codes. */
export const orchestrationError: (
  code: OrchestrationErrorCode,
  message: string,
  options?: MnopsErrorOptions,
) => MnopsError = errorsOf(codes);
