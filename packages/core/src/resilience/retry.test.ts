import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { coreError } from '../errors/core-error.js';
import { fakeClock } from '../testing/fake-clock.js';
import { type RetryEvent, retry } from './retry.js';
import { retryBudget } from './retry-budget.js';

const unavailable = (retryAfterMs?: number) => coreError('MNOPS_CORE_UNAVAILABLE', 'down', { retryAfterMs });
const { signal } = new AbortController();

/** Sleeps at once and notes how long it would have been. */
function instantClock(): { delays: number[]; sleep(ms: number): Promise<void> } {
  const delays: number[] = [];
  return { delays, sleep: async (ms) => void delays.push(ms) };
}

describe('retry', () => {
  it('gives the first success and counts attempts from 1', async () => {
    const attempts: number[] = [];
    const clock = instantClock();
    const result = await retry(
      async (attempt) => {
        attempts.push(attempt);
        if (attempt < 3) throw unavailable();
        return 'done';
      },
      { signal, clock, random: () => 0.5 },
    );
    expect(result).toBe('done');
    expect(attempts).toEqual([1, 2, 3]);
    expect(clock.delays).toEqual([50, 100]);
  });

  it('throws the last error after the last attempt, and others at once', async () => {
    let attempts = 0;
    const failing = (error: unknown) => async () => {
      attempts += 1;
      throw error;
    };
    const last = unavailable();
    await expect(retry(failing(last), { signal, clock: instantClock(), maxAttempts: 2 })).rejects.toBe(last);
    expect(attempts).toBe(2);
    attempts = 0;
    for (const error of [coreError('MNOPS_CORE_NOT_FOUND', 'no'), new Error('plain'), 'text']) {
      await expect(retry(failing(error), { signal, clock: instantClock() })).rejects.toBe(error);
    }
    expect(attempts).toBe(3);
  });

  it('waits as long as the back end asked, and gives up when that is too long', async () => {
    const clock = instantClock();
    const work = (ms: number) => async (attempt: number) => {
      if (attempt === 1) throw unavailable(ms);
      return attempt;
    };
    await retry(work(2_000), { signal, clock });
    expect(clock.delays).toEqual([2_000]);
    await expect(retry(work(61_000), { signal, clock })).rejects.toMatchObject({ retryAfterMs: 61_000 });
    await retry(work(61_000), { signal, clock, maxRetryAfterMs: 120_000 });
    await retry(work(0), { signal, clock, random: () => 0.25 });
    expect(clock.delays).toEqual([2_000, 61_000, 25]);
  });

  it('does not begin a delay that the deadline does not allow', async () => {
    const clock = instantClock();
    const options = { signal, clock, random: () => 0.9, remainingMs: () => 90 };
    await expect(retry(() => Promise.reject(unavailable()), options)).rejects.toMatchObject({ message: 'down' });
    expect(clock.delays).toEqual([]);
  });

  it('ends a delay at once when its signal aborts', async () => {
    const clock = fakeClock();
    const controller = new AbortController();
    const running = retry(() => Promise.reject(unavailable(30_000)), { signal: controller.signal, clock });
    await clock.advance(10);
    expect(clock.pending).toBe(1);
    controller.abort('enough');
    await expect(running).rejects.toBe('enough');
    expect(clock.pending).toBe(0);
  });

  it('throws the reason of an aborted signal, before and after an attempt', async () => {
    const controller = new AbortController();
    const running = retry(
      async () => {
        controller.abort('meanwhile');
        throw unavailable();
      },
      { signal: controller.signal },
    );
    await expect(running).rejects.toBe('meanwhile');
    let ran = false;
    const never = retry(
      async () => {
        ran = true;
      },
      { signal: controller.signal },
    );
    await expect(never).rejects.toBe('meanwhile');
    expect(ran).toBe(false);
  });

  it('stops when the budget is used up and tells of each retry', async () => {
    const events: RetryEvent[] = [];
    const budget = retryBudget({ perSecond: 1, burst: 2, clock: fakeClock() });
    const error = unavailable();
    const options = { signal, clock: instantClock(), budget, maxAttempts: 10, random: () => 0 };
    await expect(
      retry(() => Promise.reject(error), { ...options, onRetry: (event) => events.push(event) }),
    ).rejects.toBe(error);
    expect(events).toEqual([
      { attempt: 1, delayMs: 0, error },
      { attempt: 2, delayMs: 0, error },
    ]);
  });

  it('keeps every delay within its bound and every run within its attempts', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 12 }),
        fc.integer({ min: 1, max: 500 }),
        fc.integer({ min: 1, max: 5_000 }),
        fc.double({ min: 0, max: 0.999, noNaN: true }),
        async (maxAttempts, baseDelayMs, maxDelayMs, share) => {
          const clock = instantClock();
          let attempts = 0;
          const work = () => {
            attempts += 1;
            return Promise.reject(unavailable());
          };
          const options = { signal, clock, maxAttempts, baseDelayMs, maxDelayMs, random: () => share };
          await retry(work, options).catch(() => undefined);
          expect(attempts).toBe(maxAttempts);
          clock.delays.forEach((delay, index) => {
            expect(delay).toBeLessThanOrEqual(Math.min(maxDelayMs, baseDelayMs * 2 ** index));
          });
        },
      ),
    );
  });

  it('waits with the system clock by default', async () => {
    const result = await retry(
      async (attempt) => {
        if (attempt === 1) throw unavailable();
        return attempt;
      },
      { signal, baseDelayMs: 1 },
    );
    expect(result).toBe(2);
  });
});

describe('retryBudget', () => {
  it('begins full, empties and fills with time, never above its burst', async () => {
    const clock = fakeClock();
    const budget = retryBudget({ perSecond: 2, burst: 3, clock });
    expect([1, 2, 3, 4].map(() => budget.tryTake())).toEqual([true, true, true, false]);
    await clock.advance(500);
    expect(budget.available).toBe(1);
    expect(budget.tryTake()).toBe(true);
    expect(budget.tryTake()).toBe(false);
    await clock.advance(60_000);
    expect(budget.available).toBe(3);
  });

  it('refuses a rate that is none', () => {
    const refused = expect.objectContaining({ code: 'MNOPS_CORE_CONFIG_INVALID' });
    expect(() => retryBudget({ perSecond: 0 })).toThrow(refused);
    expect(() => retryBudget({ perSecond: 1, burst: 0.5 })).toThrow(refused);
  });

  it('allows ten seconds of retries at once by default, at least one', () => {
    expect(retryBudget({ perSecond: 5 }).available).toBe(50);
    expect(retryBudget({ perSecond: 0.01 }).available).toBe(1);
  });
});
