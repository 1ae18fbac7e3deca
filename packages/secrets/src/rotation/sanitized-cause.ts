import { codeOf, MnopsError } from '@mnops/core';
import type { LiveValues } from '../redaction/live-values.js';
import { makeRedactor } from '../redaction/redactor.js';

/** A foreign error as a cause: its kind, code and message, with every known value taken out. Drivers like to quote what they sent. */
export function sanitizedCause(error: unknown, live: LiveValues): Error {
  const redactor = makeRedactor(live, { minLength: 1 });
  const message = error instanceof Error ? error.message : 'A value that is no error was thrown.';
  if (MnopsError.is(error)) {
    const { code, retryable } = error;
    return new MnopsError(code, redactor.redact(message), { retryable, remedy: error.remedy });
  }
  const cause = new Error(redactor.redact(message));
  if (error instanceof Error) cause.name = error.name;
  const code = codeOf(error);
  return code === undefined ? cause : Object.assign(cause, { code });
}
