import { systemClock } from '../clock.js';
import { MnopsError } from '../errors/mnops-error.js';
import type { Clock } from '../spi/base.js';
import type { RetryBudget } from './retry-budget.js';

/** One retry that is about to happen. */
export interface RetryEvent {
  /** The attempt that failed, counted from 1. */
  readonly attempt: number;
  /** Milliseconds until the next attempt. */
  readonly delayMs: number;
  readonly error: MnopsError;
}

/** How failed attempts are repeated. */
export interface RetryOptions {
  /** Ends the attempts, also during a delay, with its reason. */
  readonly signal: AbortSignal;
  readonly clock?: Pick<Clock, 'sleep'> | undefined;
  /** Attempts in all. Default 4. */
  readonly maxAttempts?: number | undefined;
  /** Upper bound of the first delay; it doubles with each attempt. Default 100. */
  readonly baseDelayMs?: number | undefined;
  /** Upper bound of every delay. Default 10_000. */
  readonly maxDelayMs?: number | undefined;
  /** Longest wait that a back end may ask for; when it asks for more, its error is thrown at once. Default 60_000. */
  readonly maxRetryAfterMs?: number | undefined;
  /** Shared bound on retries; when it is used up, the error is thrown at once. */
  readonly budget?: RetryBudget | undefined;
  /** Uniform in [0, 1). Default `Math.random`. */
  readonly random?: (() => number) | undefined;
  /** Milliseconds left for everything; a delay that does not fit is not begun. Pass `call.remainingMs`. */
  readonly remainingMs?: (() => number) | undefined;
  /** Hears of each retry before its delay. */
  readonly onRetry?: ((event: RetryEvent) => void) | undefined;
}

/**
 * Runs work until it succeeds, fails for good, or no attempt is left; then the last error is thrown.
 *
 * Only a `MnopsError` that says `retryable` is repeated. Delays are exponential with full jitter (uniform between 0 and
 * the bound); where the back end sent Retry-After, at least that long.
 *
 * @param run - Gets the number of the attempt, from 1.
 * @throws The signal's reason once it aborts.
 */
export async function retry<T>(run: (attempt: number) => Promise<T>, options: RetryOptions): Promise<T> {
  const { signal, clock = systemClock(), maxAttempts = 4, budget, remainingMs, onRetry } = options;
  for (let attempt = 1; ; attempt += 1) {
    signal.throwIfAborted();
    try {
      return await run(attempt);
    } catch (error) {
      signal.throwIfAborted();
      if (!MnopsError.is(error) || !error.retryable || attempt >= maxAttempts) throw error;
      const delayMs = delayAfter(attempt, error, options);
      if (delayMs === undefined) throw error;
      if (remainingMs !== undefined && delayMs >= remainingMs()) throw error;
      if (budget !== undefined && !budget.tryTake()) throw error;
      onRetry?.({ attempt, delayMs, error });
      await clock.sleep(delayMs, signal);
    }
  }
}

/** Milliseconds to wait after a failed attempt, or `undefined` when the back end asked for more than is allowed. */
function delayAfter(attempt: number, error: MnopsError, options: RetryOptions): number | undefined {
  const { baseDelayMs = 100, maxDelayMs = 10_000, maxRetryAfterMs = 60_000, random = Math.random } = options;
  const bound = Math.min(maxDelayMs, baseDelayMs * 2 ** (attempt - 1));
  const delayMs = random() * bound;
  const asked = error.retryAfterMs;
  if (asked === undefined) return delayMs;
  return asked > maxRetryAfterMs ? undefined : Math.max(asked, delayMs);
}
