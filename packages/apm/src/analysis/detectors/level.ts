import type { Expectation } from './detector.js';

/** Values that the level and the spread look back on, as the length of an exponential mean. */
const memory = 60;
/** Spreads from the level at which a value is an anomaly. */
const limit = 5;
/**
 * The fewer values a spread comes from, the less is it known: by Student's distribution a value is as rarely eight spreads of
 * 16 values from the level as five of many. The spread counts as wider by `early * (1 / count - 1 / memory)`, which
 * follows that distribution from 10 values on.
 */
const early = 14;
/** A learned value counts as at most this many spreads away, so that one outlier cannot widen the range. */
const clip = 3;

/** Level and spread of a series, by clipped exponential means. A value is an anomaly at five spreads. */
export class Level {
  readonly #minPoints: number;
  #count = 0;
  #level = 0;
  #variance = 0;

  constructor(minPoints: number) {
    this.#minPoints = minPoints;
  }

  score(value: number, noise = 0): number {
    if (this.#count < this.#minPoints || Number.isNaN(value)) return 0;
    return Math.min(1, Math.abs(value - this.#level) / this.#spread(noise) / (2 * limit));
  }

  learn(value: number): void {
    if (!Number.isFinite(value)) return;
    this.#count += 1;
    if (this.#count === 1) {
      this.#level = value;
      return;
    }
    let distance = value - this.#level;
    // A flat series has no spread to clip by; it widens by its first differences.
    if (this.#count > this.#minPoints && this.#variance > 0) {
      const bound = clip * this.#spread(0);
      distance = Math.max(-bound, Math.min(bound, distance));
    }
    const share = Math.max(1 / this.#count, 1 / memory);
    this.#level += share * distance;
    this.#variance = (1 - share) * (this.#variance + share * distance * distance);
  }

  expected(noise = 0): Expectation | undefined {
    if (this.#count < this.#minPoints) return undefined;
    const reach = limit * this.#spread(noise);
    return { low: this.#level - reach, value: this.#level, high: this.#level + reach };
  }

  #spread(noise: number): number {
    const unknown = 1 + early * Math.max(0, 1 / Math.max(1, this.#count) - 1 / memory);
    return Math.max(Math.sqrt(this.#variance) * unknown, noise, Math.abs(this.#level) * 1e-3, 1e-9);
  }
}
