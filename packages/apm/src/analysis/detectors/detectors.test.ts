import { dataSuite } from '@mnops/tooling/parts';
import { describe, expect, it } from 'vitest';
import { readNab } from '../../testing/nab-data.js';
import { nabProfiles, nabScore, nabScoreAt } from '../../testing/nab-scorer.js';
import { normal, randomOf } from '../../testing/random.js';
import { createDetector } from './create-detector.js';
import { detectorKinds } from './detector.js';

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;

/** Scores of a series of one value per minute. */
function scoresOf(kind: (typeof detectorKinds)[number], values: readonly number[], everyMs = minuteMs): number[] {
  const detector = createDetector({ detector: kind });
  return values.map((value, index) => detector.next(value, index * everyMs));
}

function noise(count: number, seed: number): number[] {
  const random = randomOf(seed);
  return Array.from({ length: count }, () => 100 + 2 * normal(random));
}

describe.each(detectorKinds)('detector %s', (kind) => {
  it('alarms at a far value among usual ones, and gives every other a score between 0 and 1', () => {
    for (let seed = 1; seed <= 5; seed += 1) {
      const values = noise(400, seed);
      values[350] = 160;
      const scores = scoresOf(kind, values);
      expect(scores[350]).toBeGreaterThanOrEqual(0.5);
      expect(scores.every((score) => score >= 0 && score <= 1)).toBe(true);
      expect(scores.slice(0, 9)).toEqual(Array.from({ length: 9 }, () => 0));
    }
  });

  it('stays silent on a flat series', () => {
    expect(
      scoresOf(
        kind,
        Array.from({ length: 400 }, () => 7),
      ).every((score) => score === 0),
    ).toBe(true);
  });

  it('survives values that are none, and a time that is none', () => {
    const detector = createDetector({ detector: kind });
    for (const [index, value] of noise(300, 3).entries()) detector.next(value, index * minuteMs);
    expect(detector.next(Number.NaN, 0)).toBe(0);
    expect(detector.next(Number.POSITIVE_INFINITY, 299 * minuteMs)).toBe(1);
    expect(detector.next(100, Number.NaN)).toBeLessThan(0.5);
    expect(detector.next(100, -5)).toBeLessThan(0.5);
  });

  it('judges without learning, and says what it expects', () => {
    const detector = createDetector({ detector: kind });
    expect(detector.expected()).toBeUndefined();
    expect(detector.score(5)).toBe(0);
    for (const [index, value] of noise(300, 4).entries()) detector.learn(value, index * minuteMs);
    const { low, value, high } = detector.expected() ?? { low: 0, value: 0, high: 0 };
    expect(low).toBeLessThan(value);
    expect(high).toBeGreaterThan(value);
    expect(Math.abs(value - 100)).toBeLessThan(3);
    for (let i = 0; i < 3; i += 1) expect(detector.score(value)).toBeLessThan(0.5);
    expect(detector.score(200)).toBeGreaterThanOrEqual(0.5);
    expect(detector.score(200)).toBe(detector.score(200));
  });
});

describe('the differences of the detectors', () => {
  it('are named', () => {
    expect(createDetector().id).toBe('adaptive');
    for (const kind of detectorKinds) expect(createDetector({ detector: kind }).id).toBe(kind);
  });

  it('two standard deviations alarm at every twentieth usual value, the others at next to none', () => {
    const alarms = (kind: (typeof detectorKinds)[number]): number =>
      [1, 2, 3, 4, 5].reduce(
        (sum, seed) => sum + scoresOf(kind, noise(1_000, seed)).filter((score) => score >= 0.5).length,
        0,
      );
    expect(alarms('sigma')).toBeGreaterThan(100);
    for (const kind of ['adaptive', 'robust', 'novelty', 'seasonal', 'tail-threshold'] as const) {
      expect([kind, alarms(kind) <= 25]).toEqual([kind, true]);
    }
  });

  it('novelty and adaptive see a value in a gap between usual ones', () => {
    const random = randomOf(9);
    const values = Array.from({ length: 600 }, (_, index) => (index % 10 === 0 ? 50 : 10) + normal(random));
    values[500] = 30;
    for (const kind of ['adaptive', 'novelty'] as const)
      expect(scoresOf(kind, values)[500]).toBeGreaterThanOrEqual(0.5);
    expect(scoresOf('sigma', values)[500]).toBeLessThan(0.5);
  });

  it('seasonal and adaptive see a usual value at an unusual hour', () => {
    const random = randomOf(10);
    // Four weeks of hours: busy by day, idle at night; then a busy night.
    const values = Array.from(
      { length: 24 * 28 },
      (_, hour) => (hour % 24 >= 8 && hour % 24 < 20 ? 100 : 20) + normal(random),
    );
    values[24 * 26 + 2] = 100;
    for (const kind of ['seasonal', 'adaptive'] as const) {
      expect([kind, (scoresOf(kind, values, hourMs)[24 * 26 + 2] ?? 0) >= 0.5]).toEqual([kind, true]);
    }
    expect(scoresOf('robust', values, hourMs)[24 * 26 + 2]).toBeLessThan(0.5);
  });

  it('adaptive does not repeat an alarm for every value of a run', () => {
    const values = noise(600, 11);
    for (let i = 400; i < 420; i += 1) values[i] = 200 + (i - 400) * 0.1;
    const alarms = scoresOf('adaptive', values)
      .slice(400, 420)
      .filter((score) => score >= 0.5);
    expect(alarms.length).toBeGreaterThan(0);
    expect(alarms.length).toBeLessThanOrEqual(2);
  });
});

dataSuite({ describe, it }, 'nab', 'adaptive, on public series', (folder) => {
  const scored = readNab(folder).map(({ values, timesMs, windows }) => {
    const detector = createDetector();
    return { windows, scores: values.map((value, row) => detector.next(value, timesMs[row] as number)) };
  });

  it('is better than the best published detectors on the same files', () => {
    expect(nabScore(scored, nabProfiles.standard).score).toBeGreaterThan(78.15);
    expect(nabScore(scored, nabProfiles.lowFP).score).toBeGreaterThan(71.66);
    expect(nabScore(scored, nabProfiles.lowFN).score).toBeGreaterThan(83.1);
  });

  it('loses little at the threshold that users have', () => {
    expect(nabScoreAt(scored, nabProfiles.standard, 0.5)).toBeGreaterThan(78.15);
  });
});
