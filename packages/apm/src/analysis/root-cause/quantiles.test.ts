import { median, quantileSorted } from 'simple-statistics';
import { describe, expect, it } from 'vitest';
import { randomOf } from '../../testing/random.js';
import { medianDeviation, sortedQuantile } from './quantiles.js';

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
});
