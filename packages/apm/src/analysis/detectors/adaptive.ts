import type { Detector, Expectation } from './detector.js';

/** Values that the level and the spread look back on, as the length of an exponential mean. */
const memory = 60;
/** Spreads from the level at which a value is an anomaly. */
const limit = 5;
/** A learned value counts as at most this many spreads away, so that one outlier cannot widen the range. */
const clip = 3;

/** Follows level and spread of the series by clipped exponential means, and alarms at five spreads. */
export function adaptiveDetector(minPoints: number): Detector {
  let count = 0;
  let level = 0;
  let variance = 0;

  const spread = (noise: number): number => Math.max(Math.sqrt(variance), noise, Math.abs(level) * 1e-3, 1e-9);
  const score = (value: number, noise = 0): number => {
    if (count < minPoints || Number.isNaN(value)) return 0;
    return Math.min(1, Math.abs(value - level) / spread(noise) / (2 * limit));
  };
  const learn = (value: number): void => {
    if (!Number.isFinite(value)) return;
    count += 1;
    if (count === 1) {
      level = value;
      return;
    }
    let distance = value - level;
    if (count > minPoints) {
      const bound = clip * spread(0);
      // A flat series has no spread to clip by; it widens by its first differences.
      if (variance > 0) distance = Math.max(-bound, Math.min(bound, distance));
    }
    const share = Math.max(1 / count, 1 / memory);
    level += share * distance;
    variance = (1 - share) * (variance + share * distance * distance);
  };
  return {
    id: 'adaptive',
    score,
    learn,
    next(value) {
      const result = score(value);
      if (result < 0.5) learn(value);
      return result;
    },
    expected(noise = 0): Expectation | undefined {
      if (count < minPoints) return undefined;
      const reach = limit * spread(noise);
      return { low: level - reach, value: level, high: level + reach };
    },
  };
}
