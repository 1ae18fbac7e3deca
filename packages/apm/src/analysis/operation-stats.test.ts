import { describe, expect, it } from 'vitest';
import { OperationStats } from './operation-stats.js';

describe('stats of spans that stand for several', () => {
  it('count, average and fail as all of them would', () => {
    const [sampled, all] = [new OperationStats(), new OperationStats()];
    for (let i = 1; i <= 100; i += 1) {
      sampled.add(i, i % 10 === 0, 'a', 20);
      for (let j = 0; j < 20; j += 1) all.add(i, i % 10 === 0, 'a');
    }
    for (const { count, errors, moments, durationMs } of [sampled, all]) {
      expect([count, errors]).toEqual([2_000, 200]);
      expect(moments.mean).toBeCloseTo(50.5, 9);
      expect(moments.standardDeviation).toBeCloseTo(28.866, 3);
      expect(durationMs.quantile(0.9)).toBe(all.durationMs.quantile(0.9));
    }
    expect([sampled.evidence, all.evidence]).toEqual([100, 2_000]);
  });

  it('say less when few stand for many', () => {
    const stats = new OperationStats();
    for (let i = 0; i < 100; i += 1) stats.add(1, false, 'a');
    stats.add(1, false, 'a', 100);
    expect(stats.count).toBe(200);
    expect(stats.evidence).toBeCloseTo(200 ** 2 / (100 + 100 ** 2), 9);
    const [one, two] = [new OperationStats(), new OperationStats()];
    one.merge(stats);
    two.merge(stats);
    two.scale(0.5);
    expect(one.evidence).toBeCloseTo(stats.evidence, 9);
    expect(two.evidence).toBeCloseTo(stats.evidence / 2, 9);
  });
});
