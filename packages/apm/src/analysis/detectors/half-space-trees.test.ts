import { describe, expect, it } from 'vitest';
import { normal, randomOf } from '../../testing/random.js';
import { createVectorDetector } from './half-space-trees.js';

describe('the vector detector', () => {
  /** Rate and latency that rise together, then one vector of which each number is usual by itself. */
  function alarmsOf(seed: number): { readonly usual: number; readonly broken: number } {
    const random = randomOf(seed);
    const detector = createVectorDetector({ dimensions: 2, random });
    const usualVector = (): number[] => {
      const load = random();
      return [100 + 400 * load + 10 * normal(random), 20 + 60 * load + 2 * normal(random)];
    };
    let usual = 0;
    for (let i = 0; i < 2_000; i += 1) usual += detector.next(usualVector()) >= 0.5 ? 1 : 0;
    return { usual, broken: detector.next([130, 78]) };
  }

  it('sees numbers that do not go together, and little else', () => {
    const outcomes = [1, 2, 3, 4, 5, 6, 7, 8].map(alarmsOf);
    expect(outcomes.filter(({ broken }) => broken >= 0.5).length).toBeGreaterThanOrEqual(7);
    expect(outcomes.reduce((sum, { usual }) => sum + usual, 0)).toBeLessThan(8 * 20);
  });

  it('sees a vector far outside, and survives one that is none', () => {
    const random = randomOf(3);
    const detector = createVectorDetector({ dimensions: 3, random, trees: 15 });
    for (let i = 0; i < 1_000; i += 1) detector.next([normal(random), 5, normal(random)]);
    expect(detector.next([40, 5, -40])).toBeGreaterThan(0.9);
    expect(detector.next([Number.NaN, 5, 0])).toBe(0);
    expect(detector.next([1, 5])).toBe(0);
  });
});
