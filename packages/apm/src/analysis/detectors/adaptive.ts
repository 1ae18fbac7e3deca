import { CoolDown } from './cool-down.js';
import type { Detector } from './detector.js';
import { HourOfWeekMeans } from './hour-of-week-means.js';
import { Level } from './level.js';
import { SeenValues } from './seen-values.js';

/** Values before which novelty says nothing: nearly everything is new then. */
const warmUp = 50;
/** Weight of what is new for its hour beside what is new at all; the former is the noisier. */
const seasonalWeight = 0.35;
/** Standard deviations from everything seen at which a value is an anomaly. */
const limit = 0.22;

/** What a series had so far, by value and by difference to its hour of the week. */
class SeriesMemory {
  readonly #values = new SeenValues();
  readonly #hours = new HourOfWeekMeans();
  readonly #differences = new SeenValues();
  readonly #coolDown = new CoolDown();

  get count(): number {
    return this.#values.count;
  }

  next(value: number, atMs: number): number {
    const novelty = this.#values.next(value);
    const difference = this.#hours.next(value, atMs);
    const seasonal = difference === undefined ? 0 : this.#differences.next(difference);
    const known = this.#values.count > warmUp ? novelty : 0;
    const usual = this.#differences.count > warmUp ? seasonal : 0;
    return this.#coolDown.next(Math.max(known, seasonalWeight * usual));
  }
}

/**
 * Two questions, one series. `next`: has it ever had such a value, at all or in this hour of the week? `score`: how far
 * is a value, or the mean of a stretch, from the level that the series has now?
 *
 * Until there are 50 values, `next` goes by the level, too.
 */
export function adaptiveDetector(minPoints: number): Detector {
  const level = new Level(minPoints);
  // Whoever judges stretches never asks for it, and has many detectors.
  let memory: SeriesMemory | undefined;
  return {
    id: 'adaptive',
    score: (value, noise) => level.score(value, noise),
    learn: (value) => level.learn(value),
    next(value, atMs) {
      if (!Number.isFinite(value)) return Number.isNaN(value) ? 0 : 1;
      memory ??= new SeriesMemory();
      const novelty = memory.next(value, atMs);
      const early = memory.count <= warmUp;
      const score = early ? level.score(value) : novelty / (novelty + limit);
      level.learn(value);
      return score;
    },
    expected: (noise) => level.expected(noise),
  };
}
