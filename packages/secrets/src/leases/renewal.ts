/** What is known about a lease when its next step is planned; instants on the monotonic clock, milliseconds. */
export interface LeaseTimes {
  readonly now: number;
  /** When it ends unless it is renewed. */
  readonly endsAt: number;
  /** Failed steps since the last one that succeeded. */
  readonly failures: number;
  /** 0 to 1. */
  readonly random: number;
}

const firstBackOffMs = 10_000;
const longestBackOffMs = 300_000;

/**
 * Milliseconds until the next step of a lease. One that is well is renewed after about two thirds of what is left, spread
 * so that leases taken together are not renewed together; after failures the pauses double from 10 s to 5 min. A step is
 * never planned behind the end of the lease: the last one is tried just before it.
 */
export function nextStepMs({ now, endsAt, failures, random }: LeaseTimes): number {
  const left = Math.max(0, endsAt - now);
  if (failures === 0) return left * (2 / 3 + random / 10);
  const backOff = Math.min(longestBackOffMs, firstBackOffMs * 2 ** Math.min(failures - 1, 10)) * (0.75 + random / 4);
  // A short lease has no time for long pauses.
  return Math.min(backOff, Math.max(left / 2, Math.min(left, 100)));
}
