import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { randomOf } from '../testing/random.js';
import { peerSketch } from '../testing/sketches-js.js';
import { LatencySketch } from './latency-sketch.js';
import { RunningMoments } from './running-moments.js';

function exactQuantile(sorted: readonly number[], q: number): number {
  return sorted[Math.max(0, Math.ceil(q * sorted.length - 1e-9) - 1)] as number;
}

const distributions: Record<string, (random: () => number) => number> = {
  uniform: (random) => 1 + random() * 1000,
  exponential: (random) => -50 * Math.log(1 - random()),
  lognormal: (random) => Math.exp(3 + Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())),
  pareto: (random) => 5 / (1 - random()) ** (1 / 1.2),
  bimodal: (random) => (random() < 0.8 ? 10 + random() : 900 + random() * 50),
};

describe('LatencySketch', () => {
  for (const [name, draw] of Object.entries(distributions)) {
    it(`keeps every quantile of a ${name} series within 1 %`, () => {
      const random = randomOf(7);
      const values = Array.from({ length: 50_000 }, () => draw(random));
      const sketch = new LatencySketch();
      for (const value of values) sketch.add(value);
      const sorted = values.toSorted((a, b) => a - b);
      for (const q of [0.001, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999]) {
        const exact = exactQuantile(sorted, q);
        expect(Math.abs((sketch.quantile(q) as number) - exact) / exact).toBeLessThanOrEqual(0.01);
      }
      expect(sketch.min).toBe(sorted[0]);
      expect(sketch.max).toBe(sorted.at(-1));
    });
  }

  it('agrees with another sketch library within both error bounds', () => {
    const random = randomOf(11);
    const ours = new LatencySketch();
    const theirs = peerSketch(0.01);
    for (let i = 0; i < 20_000; i += 1) {
      const value = distributions['lognormal']?.(random) as number;
      ours.add(value);
      theirs.accept(value);
    }
    for (const q of [0.5, 0.9, 0.99]) {
      const other = theirs.getValueAtQuantile(q);
      expect(Math.abs((ours.quantile(q) as number) - other) / other).toBeLessThan(0.021);
    }
  });

  it('merges exactly: split streams give the figures of the whole stream', () => {
    const value = fc.double({ min: 1e-9, max: 1e12, noNaN: true });
    fc.assert(
      fc.property(fc.array(value), fc.array(value), (left, right) => {
        const [a, b, whole] = [new LatencySketch(), new LatencySketch(), new LatencySketch()];
        for (const x of left) a.add(x);
        for (const x of right) b.add(x);
        for (const x of [...left, ...right]) whole.add(x);
        a.merge(b);
        expect(a.count).toBe(whole.count);
        for (const q of [0, 0.1, 0.5, 0.9, 0.99, 1]) expect(a.quantile(q)).toBe(whole.quantile(q));
      }),
    );
  });

  it('takes any number without breaking and ignores what is none', () => {
    fc.assert(
      fc.property(fc.array(fc.double()), (values) => {
        const sketch = new LatencySketch();
        for (const value of values) sketch.add(value);
        const finite = values.filter(Number.isFinite);
        expect(sketch.count).toBe(finite.length);
        const median = sketch.quantile(0.5);
        if (finite.length === 0) expect(median).toBeUndefined();
        else expect(median).not.toBeNaN();
      }),
    );
  });

  it('refuses a quantile that too few values support', () => {
    const sketch = new LatencySketch();
    for (let i = 1; i <= 99; i += 1) sketch.add(i);
    expect(sketch.supportedQuantile(0.99)).toBeUndefined();
    expect(sketch.supportedQuantile(0.95)).toBeDefined();
    sketch.add(100);
    expect(sketch.supportedQuantile(0.99)).toBeDefined();
    expect(new LatencySketch().supportedQuantile(0.5)).toBeUndefined();
  });

  it('tells the share above a bound and forgets by scaling', () => {
    const sketch = new LatencySketch();
    for (let i = 1; i <= 1000; i += 1) sketch.add(i);
    expect(sketch.shareAbove(900)).toBeCloseTo(0.1, 1);
    sketch.scale(0.5);
    expect(sketch.count).toBe(500);
    expect(sketch.quantile(0.5)).toBeCloseTo(500, -1);
  });
});

describe('RunningMoments', () => {
  it('merges to the moments of all values', () => {
    const value = fc.double({ min: -1e6, max: 1e6, noNaN: true });
    fc.assert(
      fc.property(fc.array(value, { minLength: 1 }), fc.array(value), (left, right) => {
        const [a, b] = [new RunningMoments(), new RunningMoments()];
        for (const x of left) a.add(x);
        for (const x of right) b.add(x);
        a.merge(b);
        const all = [...left, ...right];
        const mean = all.reduce((sum, x) => sum + x, 0) / all.length;
        const variance = all.reduce((sum, x) => sum + (x - mean) ** 2, 0) / all.length;
        expect(a.mean).toBeCloseTo(mean, 4);
        expect(Math.abs(a.variance - variance)).toBeLessThanOrEqual(1e-6 * Math.max(1, variance));
      }),
    );
  });
});
