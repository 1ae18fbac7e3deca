import { median, quantileSorted } from 'simple-statistics';
import { describe, expect, it } from 'vitest';
import { randomOf } from '../../testing/random.js';
import { medianDeviation, quantileOf, sortedQuantile } from './quantiles.js';

const random = randomOf(3);
const lists = Array.from({ length: 200 }, (_, index) =>
  Float64Array.from({ length: 1 + (index % 23) }, () =>
    index % 3 === 0 ? Math.floor(4 * random()) : random() - 0.5,
  ).sort(),
);

describe('quantiles of values in order', () => {
  it('are those of the public definition', () => {
    for (const values of lists) {
      for (const share of [0, 0.02, 0.25, 0.5, 0.9, 1]) {
        expect(sortedQuantile(values, share)).toBe(quantileSorted([...values], share));
      }
    }
  });

  it('and the median of the distances from the middle are found without sorting again', () => {
    for (const values of lists) {
      for (const middle of [sortedQuantile(values, 0.5), sortedQuantile(values, 0), sortedQuantile(values, 1)]) {
        const distances = [...values].map((value) => Math.abs(value - middle));
        expect(medianDeviation(values, middle)).toBeCloseTo(median(distances), 12);
      }
    }
  });

  it('count each value as often as it stands for', () => {
    for (const values of lists) {
      const drawn = [...values].map((ms) => ({ ms, count: 1 + Math.floor(3 * random()) })).reverse();
      // Where all stand for as many, they are as good as one each.
      const samples = [...drawn, { ms: 9, count: 1 }, { ms: 9, count: 2 }];
      const written = samples.flatMap(({ ms, count }) => new Array<number>(count).fill(ms)).sort((a, b) => a - b);
      for (const share of [0, 0.5, 0.9, 1]) {
        expect(quantileOf(samples, share)).toBeCloseTo(quantileSorted(written, share), 12);
      }
      const alike = drawn.map(({ ms }) => ({ ms, count: 7.5 }));
      expect(quantileOf(alike, 0.9)).toBe(sortedQuantile(values, 0.9));
    }
    expect(quantileOf([], 0.9)).toBe(0);
    expect(
      quantileOf(
        [
          { ms: 3, count: 0.1 },
          { ms: 4, count: 0.2 },
        ],
        0.9,
      ),
    ).toBeGreaterThanOrEqual(3);
  });
});
