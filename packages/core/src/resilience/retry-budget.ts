import * as v from 'valibot';
import { systemClock } from '../clock.js';
import { functionSchema, parseOptions } from '../config/index.js';
import type { Clock } from '../spi/base.js';

/** A token bucket that bounds how much work retries may add, shared by all calls of a host. */
export interface RetryBudget {
  /** Takes one token; `false` when none is left, so the failure goes to the caller. */
  tryTake(): boolean;
  /** Whole tokens left now. */
  readonly available: number;
}

/** Rate of a retry budget. */
export interface RetryBudgetOptions {
  /** Retries per second in the long run. */
  readonly perSecond: number;
  /** Retries at once. Default: ten seconds' worth, at least 1. */
  readonly burst?: number | undefined;
  readonly clock?: Pick<Clock, 'monotonic'> | undefined;
}

const optionsSchema = v.strictObject({
  perSecond: v.pipe(v.number(), v.finite(), v.gtValue(0)),
  burst: v.optional(v.pipe(v.number(), v.finite(), v.minValue(1))),
  clock: v.optional(v.object({ monotonic: functionSchema })),
});

/**
 * Makes a full token bucket: `burst` retries at once, `perSecond` in the long run.
 *
 * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID`
 */
export function retryBudget(options: RetryBudgetOptions): RetryBudget {
  parseOptions('retryBudget', optionsSchema, options);
  const { perSecond, burst = Math.max(1, perSecond * 10), clock = systemClock() } = options;
  let tokens = burst;
  let filledAt = clock.monotonic();

  function fill(): void {
    const now = clock.monotonic();
    tokens = Math.min(burst, tokens + ((now - filledAt) / 1_000) * perSecond);
    filledAt = now;
  }

  return {
    tryTake() {
      fill();
      if (tokens < 1) return false;
      tokens -= 1;
      return true;
    },
    get available() {
      fill();
      return Math.floor(tokens);
    },
  };
}
