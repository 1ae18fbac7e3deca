export {
  type CallOfOptions,
  callOf,
  credential,
  type OwnedCall,
  timeoutError,
  untilAborted,
  withCall,
} from './call.js';
export { systemClock } from './clock.js';
export { type CoreErrorCode, codes } from './codes.js';
export { coreError, storageError } from './errors/core-error.js';
export {
  type CodeEntry,
  codeOf,
  errorsOf,
  MnopsError,
  type MnopsErrorCode,
  type MnopsErrorOptions,
  UnsupportedError,
} from './errors/mnops-error.js';
export { toldMessage } from './errors/told-message.js';
export { warnOfFailure } from './errors/warn-of-failure.js';
