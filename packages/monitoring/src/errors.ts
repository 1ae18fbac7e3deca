import { errorsOf, type MnopsError, type MnopsErrorOptions } from '@mnops/core';
import { codes } from './codes.js';

/** Creates an error with one of this package's codes. */
export const monitoringError: (code: keyof typeof codes, message: string, options?: MnopsErrorOptions) => MnopsError =
  errorsOf(codes);
