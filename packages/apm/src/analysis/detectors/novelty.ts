import type { Detector, Expectation } from './detector.js';
import { SeenValues } from './seen-values.js';

/** Standard deviations from everything seen at which a value is an anomaly. */
const limit = 0.25;

/** Values before which novelty says nothing: nearly everything is new then. */
const warmUp = 50;

/** Alarms at values that lie apart from everything seen, be it beyond or between. */
export function noveltyDetector(minPoints: number): Detector {
  const seen = new SeenValues();
  const needed = Math.max(warmUp, minPoints);
  const scoreOf = (deviations: number): number => Math.min(1, deviations / (2 * limit));
  return {
    id: 'novelty',
    score(value, noise = 0) {
      if (seen.count < needed || Number.isNaN(value)) return 0;
      return scoreOf(seen.distance(value) / Math.max(seen.standardDeviation, noise));
    },
    learn(value) {
      if (Number.isFinite(value)) seen.next(value);
    },
    next(value) {
      if (!Number.isFinite(value)) return Number.isNaN(value) ? 0 : 1;
      const known = seen.count >= needed;
      const novelty = seen.next(value);
      // Never quite 1, so that the newest of several new values still has the highest score.
      return known ? novelty / (novelty + limit) : 0;
    },
    expected(noise = 0): Expectation | undefined {
      const { range } = seen;
      if (range === undefined || seen.count < needed) return undefined;
      const reach = limit * Math.max(seen.standardDeviation, noise);
      return { low: range[0] - reach, value: seen.mean, high: range[1] + reach };
    },
  };
}
