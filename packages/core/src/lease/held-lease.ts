import { coreError } from '../errors/core-error.js';
import type { Clock, Timer } from '../spi/base.js';

/** Keeps the time of a held lease: its signal aborts a margin before the lease ends, or earlier when it is lost. */
export interface LeaseTimer {
  readonly signal: AbortSignal;
  /** Counts anew from an instant of the monotonic clock, taken before the extension was written. */
  extend(fromMs: number): void;
  /** Ends it for good. */
  end(reason: unknown): void;
}

/** What a lease timer needs to know. */
export interface LeaseTimerOptions {
  readonly name: string;
  readonly ttlMs: number;
  readonly marginMs: number;
  readonly clock: Clock;
  /** When the lease was taken, on the monotonic clock, before it was written. */
  readonly fromMs: number;
}

/** How often a sleep of the machine is looked for. */
const lookEveryMs = 1_000;

/**
 * Starts the time of a lease. While a machine sleeps its monotonic clock stands still and others take over, so time that
 * only the wall clock saw is taken off; a wall clock that is set forward does the same, which errs on the safe side.
 */
export function startLeaseTimer(options: LeaseTimerOptions): LeaseTimer {
  const { name, ttlMs, marginMs, clock } = options;
  const controller = new AbortController();
  let timer: Timer | undefined;
  let endsAt = 0;
  let seen = { wall: clock.now(), monotonic: clock.monotonic() };

  function end(reason: unknown): void {
    timer?.cancel();
    controller.abort(reason);
  }

  function look(): void {
    const now = { wall: clock.now(), monotonic: clock.monotonic() };
    const slept = now.wall - seen.wall - (now.monotonic - seen.monotonic);
    if (slept > lookEveryMs) endsAt -= slept;
    seen = now;
    const leftMs = endsAt - now.monotonic;
    if (leftMs > 0) timer = clock.setTimer(Math.min(leftMs, lookEveryMs), look);
    else end(coreError('MNOPS_CORE_CONFLICT', `The lease ${name} was not renewed in time.`, { details: { name } }));
  }

  function extend(fromMs: number): void {
    timer?.cancel();
    endsAt = fromMs + ttlMs - marginMs;
    look();
  }

  extend(options.fromMs);
  return { signal: controller.signal, extend, end };
}
