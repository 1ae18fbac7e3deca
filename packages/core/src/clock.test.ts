import { performance } from 'node:perf_hooks';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { systemClock } from './clock.js';

afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

/** The fake timers of the runner leave `node:perf_hooks` alone. */
function fakeTime(): void {
  vi.useFakeTimers();
  vi.spyOn(performance, 'now').mockImplementation(() => Date.now());
}

describe('systemClock', () => {
  it('tells wall time, and monotonic time with fractions', () => {
    const clock = systemClock();
    expect(Math.abs(clock.now() - Date.now())).toBeLessThan(1_000);
    const before = clock.monotonic();
    expect(clock.monotonic()).toBeGreaterThanOrEqual(before);
  });

  it('fires a timer longer than 24.8 days when it is due, not at once', () => {
    fakeTime();
    const clock = systemClock();
    const day = 86_400_000;
    let fired = 0;
    clock.setTimer(60 * day, () => {
      fired += 1;
    });
    vi.advanceTimersByTime(59 * day);
    expect(fired).toBe(0);
    vi.advanceTimersByTime(day);
    expect(fired).toBe(1);
  });

  it('does not fire a cancelled timer, also after its first part', () => {
    fakeTime();
    const day = 86_400_000;
    let fired = 0;
    const timer = systemClock().setTimer(40 * day, () => {
      fired += 1;
    });
    vi.advanceTimersByTime(30 * day);
    timer.cancel();
    timer.cancel();
    vi.advanceTimersByTime(30 * day);
    expect([fired, vi.getTimerCount()]).toEqual([0, 0]);
  });

  it('holds the process only when asked', () => {
    const clock = systemClock();
    const free = (): number => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
    const before = free();
    const light = clock.setTimer(60_000, () => undefined);
    expect(free()).toBe(before);
    const heavy = clock.setTimer(60_000, () => undefined, { hold: true });
    expect(free()).toBe(before + 1);
    light.cancel();
    heavy.cancel();
  });

  it('takes a negative or huge delay', () => {
    fakeTime();
    const fired: string[] = [];
    const clock = systemClock();
    clock.setTimer(-5, () => fired.push('now'));
    clock.setTimer(Number.MAX_SAFE_INTEGER, () => fired.push('never'));
    vi.advanceTimersByTime(1);
    expect(fired).toEqual(['now']);
    vi.clearAllTimers();
  });

  it('sleeps until it is over or aborted, with the reason of the signal', async () => {
    const clock = systemClock();
    await clock.sleep(1);
    const controller = new AbortController();
    const sleeping = clock.sleep(60_000, controller.signal);
    controller.abort(new Error('enough'));
    await expect(sleeping).rejects.toThrow('enough');
    await expect(clock.sleep(60_000, controller.signal)).rejects.toThrow('enough');
  });
});
