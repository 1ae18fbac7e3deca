import { hourOfWeek } from '../hour-of-week.js';
import { type Detector, type Expectation, judgeThenLearn } from './detector.js';
import { Level } from './level.js';

/** Alarms at five spreads from the level of this hour of the week, or of the day while the week's is not known. */
export function seasonalDetector(minPoints: number): Detector {
  const ofWeek: (Level | undefined)[] = [];
  const ofDay: (Level | undefined)[] = [];
  let lastMs = 0;
  /** The level that knows most about an instant; without one there is nothing to judge by. */
  const usual = (atMs: number, noise: number): Level | undefined => {
    const hour = hourOfWeek(atMs) || 0;
    return [ofWeek[hour], ofDay[hour % 24]].find((level) => level?.expected(noise) !== undefined);
  };
  const learn = (value: number, atMs = lastMs): void => {
    const hour = hourOfWeek(atMs) || 0;
    lastMs = atMs;
    for (const [levels, index] of [[ofWeek, hour] as const, [ofDay, hour % 24] as const]) {
      levels[index] ??= new Level(minPoints);
      levels[index]?.learn(value);
    }
  };
  const score = (value: number, noise = 0, atMs = lastMs): number => usual(atMs, noise)?.score(value, noise) ?? 0;
  return judgeThenLearn({
    id: 'seasonal',
    score,
    learn,
    expected: (noise = 0, atMs = lastMs): Expectation | undefined => usual(atMs, noise)?.expected(noise),
  });
}
