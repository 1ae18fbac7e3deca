import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { WeightedPick } from './weighted-pick.js';

describe('WeightedPick', () => {
  it('holds every weight exactly in any 100 picks in a row', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 100 }),
        fc.integer({ min: 0, max: 100 }),
        fc.nat(250),
        (first, cut, start) => {
          const second = Math.min(cut, 100 - first);
          const weights = new Map([
            ['a', first],
            ['b', second],
            ['c', 100 - first - second],
          ]);
          const pick = new WeightedPick();
          pick.set(weights);
          for (let index = 0; index < start; index += 1) pick.next();
          const counts = new Map<string, number>();
          for (let index = 0; index < 100; index += 1) {
            const name = pick.next()!;
            counts.set(name, (counts.get(name) ?? 0) + 1);
          }
          for (const [name, weight] of weights) expect(counts.get(name) ?? 0).toBe(weight);
        },
      ),
    );
  });

  it('acts at once on a weight of 0, and picks nothing when all are 0', () => {
    const pick = new WeightedPick();
    pick.set(
      new Map([
        ['a', 50],
        ['b', 50],
      ]),
    );
    pick.next();
    pick.set(
      new Map([
        ['a', 100],
        ['b', 0],
      ]),
    );
    expect([pick.next(), pick.next(), pick.next()]).toEqual(['a', 'a', 'a']);
    pick.set(new Map([['a', 0]]));
    expect(pick.next()).toBeUndefined();
  });
});
