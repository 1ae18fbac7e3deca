import { describe, expect, it } from 'vitest';
import { fakeClock } from './fake-clock.js';

describe('fakeClock', () => {
  it('stands still until it is advanced, and moves both clocks then', async () => {
    const clock = fakeClock({ nowMs: 5_000 });
    const before = clock.monotonic();
    expect(clock.now()).toBe(5_000);
    await clock.advance(250);
    expect(clock.now()).toBe(5_250);
    expect(clock.monotonic() - before).toBe(250);
  });

  it('starts at a fixed date by default', () => {
    expect(new Date(fakeClock().now()).toISOString()).toBe('2026-01-01T00:00:00.000Z');
  });

  it('jumps the wall clock alone', () => {
    const clock = fakeClock({ nowMs: 0 });
    const before = clock.monotonic();
    clock.jumpWallClock(-3_600_000);
    expect(clock.now()).toBe(-3_600_000);
    expect(clock.monotonic()).toBe(before);
  });

  it('fires timers in order, each at its own instant, also those set meanwhile', async () => {
    const clock = fakeClock({ nowMs: 0 });
    const seen: [string, number][] = [];
    clock.setTimer(30, () => seen.push(['late', clock.now()]));
    clock.setTimer(10, () => {
      seen.push(['early', clock.now()]);
      clock.setTimer(10, () => seen.push(['set meanwhile', clock.now()]));
    });
    clock.setTimer(31, () => seen.push(['too late', clock.now()]));
    expect(clock.pending).toBe(3);
    await clock.advance(30);
    expect(seen).toEqual([
      ['early', 10],
      ['set meanwhile', 20],
      ['late', 30],
    ]);
    expect(clock.pending).toBe(1);
  });

  it('does not fire a cancelled timer', async () => {
    const clock = fakeClock();
    let fired = false;
    const timer = clock.setTimer(5, () => {
      fired = true;
    });
    timer.cancel();
    timer.cancel();
    await clock.advance(10);
    expect(fired).toBe(false);
  });

  it('lets sleepers go on before the next instant', async () => {
    const clock = fakeClock({ nowMs: 0 });
    const seen: number[] = [];
    const work = (async () => {
      for (let round = 0; round < 3; round += 1) {
        await clock.sleep(10);
        seen.push(clock.now());
      }
    })();
    await clock.advance(100);
    await work;
    expect(seen).toEqual([10, 20, 30]);
  });

  it('rejects a sleep with the reason of its signal, at once and also when it is aborted already', async () => {
    const clock = fakeClock();
    const controller = new AbortController();
    const sleeping = clock.sleep(1_000, controller.signal);
    controller.abort('enough');
    await expect(sleeping).rejects.toBe('enough');
    await expect(clock.sleep(1, controller.signal)).rejects.toBe('enough');
    expect(clock.pending).toBe(0);
  });

  it('ends a sleep with a signal by time', async () => {
    const clock = fakeClock();
    const sleeping = clock.sleep(10, new AbortController().signal);
    await clock.advance(10);
    await sleeping;
  });
});
