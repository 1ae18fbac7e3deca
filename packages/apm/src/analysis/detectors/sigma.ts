import { RunningMoments } from '../running-moments.js';
import { type Detector, type Expectation, judgeThenLearn } from './detector.js';

/** Values that the mean and the deviation are taken from. */
const windowSize = 100;

/** Alarms when a value lies more than `sigma` standard deviations from the mean of the last hundred. */
export function sigmaDetector(sigma: number, minPoints: number): Detector {
  const window: number[] = [];

  const moments = (): RunningMoments => {
    const result = new RunningMoments();
    for (const value of window) result.add(value);
    return result;
  };
  const score = (value: number): number => {
    if (window.length < minPoints || Number.isNaN(value)) return 0;
    const { mean, standardDeviation } = moments();
    const distance = Math.abs(value - mean);
    if (distance === 0) return 0;
    return Math.min(1, distance / Math.max(standardDeviation, 1e-9) / (2 * sigma));
  };
  const learn = (value: number): void => {
    if (!Number.isFinite(value)) return;
    window.push(value);
    if (window.length > windowSize) window.shift();
  };
  return judgeThenLearn({
    id: 'sigma',
    score,
    learn,
    expected(): Expectation | undefined {
      if (window.length < minPoints) return undefined;
      const { mean, standardDeviation } = moments();
      return { low: mean - sigma * standardDeviation, value: mean, high: mean + sigma * standardDeviation };
    },
  });
}
