/** A command line that cannot be understood, in words for a person and without a stop at the end. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** Whether an error is about the command line; also one of another copy of this package. */
export function isUsageError(error: unknown): error is UsageError {
  return error instanceof Error && error.name === 'UsageError';
}
