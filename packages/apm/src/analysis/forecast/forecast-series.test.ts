import { describe, expect, it } from 'vitest';
import { normal, randomOf } from '../../testing/random.js';
import { forecastSeries } from './forecast-series.js';
import { findSeason } from './season.js';

/** A wave of 24 values around 100, with noise. */
function wave(count: number, seed: number, noise = 5): number[] {
  const random = randomOf(seed);
  return Array.from({ length: count }, (_, i) => 100 + 30 * Math.sin((2 * Math.PI * i) / 24) + noise * normal(random));
}

describe('the season of a series', () => {
  it('is found in noise, and not where there is none', () => {
    for (let seed = 1; seed <= 5; seed += 1) {
      expect(Math.abs((findSeason(wave(240, seed, 8)) ?? 0) - 24)).toBeLessThanOrEqual(1);
      const random = randomOf(seed);
      expect(findSeason(Array.from({ length: 500 }, () => normal(random)))).toBeUndefined();
    }
    expect(findSeason([])).toBeUndefined();
    expect(findSeason(Array.from({ length: 100 }, () => 7))).toBeUndefined();
  });
});

describe('the forecast of a series', () => {
  it('is better than the last season, and its range holds nine of ten values', () => {
    let inside = 0;
    let ours = 0;
    let naive = 0;
    for (let seed = 1; seed <= 40; seed += 1) {
      const values = wave(360, seed);
      const { usable, method, season, points } = forecastSeries(values.slice(0, 336), { horizon: 24 });
      expect([usable, method, season]).toEqual([true, 'holt-winters', 24]);
      for (const [index, { value, low, high }] of points.entries()) {
        const actual = values[336 + index] as number;
        inside += actual >= low && actual <= high ? 1 : 0;
        ours += Math.abs(actual - value);
        naive += Math.abs(actual - (values[312 + index] as number));
      }
    }
    expect(ours / naive).toBeLessThan(0.85);
    expect(inside / 960).toBeGreaterThan(0.87);
    expect(inside / 960).toBeLessThan(0.93);
  });

  it('is not usable before two seasons, without one, or where the last season does as well', () => {
    const options = { horizon: 5, season: 24 };
    expect(forecastSeries(wave(47, 1), options)).toMatchObject({ usable: false, reason: 'too-short', points: [] });
    const random = randomOf(2);
    const noise = Array.from({ length: 300 }, () => normal(random));
    expect(forecastSeries(noise, { horizon: 5 })).toMatchObject({ usable: false, reason: 'no-season', points: [] });
    // Each season starts from scratch: nothing is smoother than the last one.
    const seasons = Array.from({ length: 300 }, (_, i) => 10 * (i % 24) ** 2);
    const exact = forecastSeries(seasons, { ...options, horizon: 24 });
    expect(exact.points.map(({ value }) => Math.round(value))).toEqual(
      Array.from({ length: 24 }, (_, i) => 10 * ((300 + i) % 24) ** 2),
    );
  });

  it('takes values that are not known, and keeps to the minimum', () => {
    const values = wave(240, 3).map((value, i) =>
      i % 24 === 5 || i % 7 === 0 ? Number.NaN : Math.max(0, value - 100),
    );
    const { points } = forecastSeries(values, { horizon: 24, season: 24, minimum: 0 });
    expect(points).toHaveLength(24);
    for (const { value, low, high } of points) {
      expect(Number.isFinite(value) && low >= 0 && low <= value && value <= high).toBe(true);
    }
    const unknown = Array.from({ length: 100 }, () => Number.NaN);
    expect(forecastSeries(unknown, { horizon: 3, season: 24 })).toMatchObject({ usable: false, points: [] });
  });
});
