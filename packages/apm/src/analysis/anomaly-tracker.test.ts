import { describe, expect, it } from 'vitest';
import { type SimulatedTraffic, simulate } from '../testing/simulated-traffic.js';

const steady: Omit<SimulatedTraffic, 'seed'> = { lengthMs: 120_000, perSecond: 75, medianMs: 8 };
const seeds = Array.from({ length: 20 }, (_, index) => index + 1);

describe('anomaly detection', () => {
  it('stays silent on steady traffic, whatever the noise', () => {
    for (const seed of seeds) {
      for (const variant of [
        {},
        { spread: 1, perSecond: 20 },
        { wander: 0.15 },
        { errorShare: 0.03 },
        { perSecond: 1.5, lengthMs: 400_000 },
        { medianMs: 0.05 },
      ]) {
        const { opened } = simulate({ ...steady, seed, ...variant });
        expect(opened.map(({ anomaly }) => [seed, variant, anomaly.signal, anomaly.observed])).toEqual([]);
      }
    }
  });

  it('stays silent when a wave of load comes before the spread is known', () => {
    // Two seeds of several thousand where a spread of 16 values was far too small.
    for (const seed of [3022792526, 77800]) {
      for (const variant of [{ wander: 0.25, spread: 1 }, { wander: 0.15 }, { spread: 1, perSecond: 20 }]) {
        const { opened } = simulate({ ...steady, perSecond: 50, lengthMs: 200_000, seed, ...variant });
        expect(opened.map(({ anomaly }) => [seed, variant, anomaly.signal])).toEqual([]);
      }
    }
  });

  it('does not learn failures that begin by chance below the threshold', () => {
    const fault = { fromMs: 60_000, toMs: 120_000, share: 1, failShare: 0.05 };
    // Failures of the first seconds were learned in this one, which made the later ones usual.
    const { opened } = simulate({ ...steady, perSecond: 50, seed: 3022792539, faults: [fault] });
    expect(opened[0]?.atMs).toBeGreaterThan(60_000);
    expect(opened[0]?.atMs).toBeLessThan(80_000);
    expect(opened[0]?.anomaly.signal).toBe('errors');
  });

  it('finds a release that makes a quarter of the requests slow and fail at 5 %, within 10 s', () => {
    for (const seed of seeds) {
      const fault = { fromMs: 25_000, toMs: 60_000, share: 0.25, addMs: 120, failShare: 0.05 };
      const { opened } = simulate({ ...steady, seed, lengthMs: 60_000, perSecond: 150, faults: [fault] });
      const [first] = opened;
      expect(first, `seed ${seed}`).toBeDefined();
      expect(first?.atMs).toBeGreaterThan(25_000);
      expect(first?.atMs).toBeLessThan(35_000);
      const { openedAt } = first?.anomaly ?? {};
      expect(Math.abs((openedAt?.getTime() ?? 0) - 1_700_000_025_000)).toBeLessThanOrEqual(3_000);
      const slow = opened.find(({ anomaly }) => anomaly.signal === 'duration');
      expect(slow?.anomaly).toMatchObject({ service: 'catalog', statistic: 'p90' });
      expect(slow?.atMs).toBeLessThan(35_000);
    }
  });

  it('finds failures without any change in latency, and their end', () => {
    for (const seed of seeds) {
      const fault = { fromMs: 40_000, toMs: 70_000, share: 1, failShare: 0.1 };
      const { opened, closed } = simulate({ ...steady, seed, faults: [fault] });
      expect(opened.map(({ anomaly }) => anomaly.signal)).toEqual(['errors']);
      expect(opened[0]?.anomaly.traceIds.length).toBeGreaterThan(0);
      expect(closed).toHaveLength(1);
      const end = closed[0]?.anomaly.closedAt?.getTime() ?? 0;
      expect(end - 1_700_000_000_000).toBeGreaterThan(65_000);
      expect(end - 1_700_000_000_000).toBeLessThan(78_000);
    }
  });

  it('finds traffic that stops', () => {
    const fault = { fromMs: 40_000, toMs: 200_000, share: 1, dropShare: 1 };
    const { opened } = simulate({ ...steady, seed: 3, faults: [fault] });
    expect(opened.map(({ anomaly }) => anomaly.signal)).toEqual(['throughput']);
    expect(opened[0]?.anomaly.observed).toBe(0);
  });

  it('does not open for trouble shorter than the minimum duration', () => {
    for (const seed of seeds) {
      const fault = { fromMs: 40_000, toMs: 41_500, share: 1, addMs: 300, failShare: 0.5 };
      expect(simulate({ ...steady, seed, faults: [fault] }).opened).toEqual([]);
    }
  });

  it('does not learn while an anomaly is open', () => {
    const fault = { fromMs: 40_000, toMs: 115_000, share: 1, addMs: 200 };
    const { table, tracker } = simulate({ ...steady, seed: 5, faults: [fault] });
    const [baseline] = table.baselines(
      {},
      table.time.nowMs,
      table.known((operation) => tracker.isOpen(operation)),
    );
    expect(baseline?.durationMs.p95).toBeLessThan(40);
  });

  it('goes on learning when a suspicion lasts and never becomes an anomaly', () => {
    // Every second second is slow: the stretch is unusual, and too few of its buckets agree.
    const faults = Array.from({ length: 90 }, (_, second) => second)
      .filter((second) => second % 2 === 0)
      .map((second) => ({ fromMs: 25_000 + second * 1_000, toMs: 26_000 + second * 1_000, share: 1, addMs: 200 }));
    const slowest = (adoptAfterMs: number): number | undefined => {
      const { table, tracker, opened } = simulate({ ...steady, seed: 5, faults, options: { adoptAfterMs } });
      expect(opened.map(({ anomaly }) => anomaly.signal)).toEqual([]);
      return table.baselines(
        {},
        table.time.nowMs,
        table.known((operation) => tracker.isOpen(operation)),
      )[0]?.durationMs.p95;
    };
    expect(slowest(600_000)).toBeLessThan(40);
    expect(slowest(20_000)).toBeGreaterThan(150);
  });

  it('stays silent during the cooldown and says so again after it', () => {
    const faults = [40_000, 70_000].map((fromMs) => ({ fromMs, toMs: fromMs + 10_000, share: 1, addMs: 200 }));
    const openings = (cooldownMs: number): number =>
      simulate({ ...steady, seed: 6, faults, options: { cooldownMs } }).opened.length;
    expect(openings(60_000)).toBe(1);
    expect(openings(5_000)).toBe(2);
  });

  it('adopts a level that lasts as the new normal', () => {
    const fault = { fromMs: 40_000, toMs: 1e9, share: 1, addMs: 200 };
    const { tracker, closed, opened } = simulate({
      ...steady,
      seed: 7,
      lengthMs: 200_000,
      faults: [fault],
      options: { adoptAfterMs: 60_000 },
    });
    expect(opened).toHaveLength(1);
    expect(closed).toHaveLength(1);
    expect(tracker.find({ open: true })).toEqual([]);
  });

  it('offers two standard deviations as a named choice', () => {
    const fault = { fromMs: 60_000, toMs: 90_000, share: 1, addMs: 200 };
    const options = { detector: { detector: 'sigma', sigma: 2 } as const };
    const { opened } = simulate({ ...steady, seed: 8, faults: [fault], options });
    expect(opened.some(({ anomaly }) => anomaly.detector === 'sigma' && anomaly.signal === 'duration')).toBe(true);
  });
});
