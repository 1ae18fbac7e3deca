import { describe, expect, it } from 'vitest';
import { fitParetoTail, tailQuantile } from './generalized-pareto.js';

/** Draws of a tail from evenly scattered shares, rounded to four digits. */
function draws(shape: number, scale: number): number[] {
  return Array.from({ length: 60 }, (_, index) => {
    const share = (((index + 1) * 7919) % 997) / 997;
    const value = shape === 0 ? -scale * Math.log(1 - share) : (scale / shape) * ((1 - share) ** -shape - 1);
    return Math.round(value * 1e4) / 1e4;
  });
}

describe('the fitted tail', () => {
  // Expected: scipy 1.17.1, stats.genpareto.fit with the location at 0, refined by Nelder-Mead on its likelihood.
  it.each([
    [0.3, 2, 0.319946, 2.314166, 32.1695],
    [-0.25, 1, -0.270664, 1.119357, 3.14993],
    [0, 5, 0.005218, 5.640588, 30.3026],
  ])('is the one of another implementation: shape %d, scale %d', (shape, scale, fittedShape, fittedScale, quantile) => {
    const tail = fitParetoTail(draws(shape, scale));
    expect(tail.shape).toBeCloseTo(fittedShape, 4);
    expect(tail.scale).toBeCloseTo(fittedScale, 3);
    expect(tailQuantile(tail, 1e-4, 0.02)).toBeCloseTo(quantile, 2);
  });

  it('is exponential where there is nothing to tell a shape by', () => {
    expect(fitParetoTail([3])).toEqual({ shape: 0, scale: 3 });
    expect(tailQuantile({ shape: 0, scale: 2 }, 0.01, 0.1)).toBeCloseTo(2 * Math.log(10), 10);
    const same = fitParetoTail([2, 2, 2, 2]);
    expect(Number.isFinite(same.shape) && same.scale > 0).toBe(true);
  });
});
