import { createDetector } from '../analysis/detectors/create-detector.js';
import { RunningMoments } from '../analysis/running-moments.js';

/** Scores one series of values as they come. */
export type SeriesScorer = (value: number, atMs: number) => number;

/** Distance from the mean of the last values in standard deviations, those before the value. */
function rollingDeviations(size: number): SeriesScorer {
  const window: number[] = [];
  let sum = 0;
  let squares = 0;
  return (value) => {
    const count = window.length;
    const mean = count > 0 ? sum / count : value;
    const deviation = Math.sqrt(Math.max(0, squares / Math.max(1, count) - mean * mean));
    const distance = count > 20 ? Math.abs(value - mean) / Math.max(deviation, 1e-9) : 0;
    window.push(value);
    sum += value;
    squares += value * value;
    if (count === size) {
      const oldest = window.shift() as number;
      sum -= oldest;
      squares -= oldest * oldest;
    }
    return distance;
  };
}

/** Distance beyond the least and the greatest value so far, in standard deviations. */
function beyondHistory(): SeriesScorer {
  const moments = new RunningMoments();
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  return (value) => {
    const deviation = Math.max(moments.standardDeviation, 1e-9);
    const distance = moments.count > 50 ? Math.max(0, value - high, low - value) / deviation : 0;
    moments.add(value);
    low = Math.min(low, value);
    high = Math.max(high, value);
    return distance;
  };
}

const kind = (detector: 'sigma' | 'robust' | 'novelty' | 'seasonal' | 'tail-threshold'): SeriesScorer => {
  const made = createDetector({ detector });
  return (value, atMs) => made.next(value, atMs);
};

/** Simple detectors to compare with, by name; each call makes one with nothing learned. */
export const nabBaselines: Readonly<Record<string, () => SeriesScorer>> = {
  null: () => () => 0,
  'fixed 2 sigma, window 100': () => {
    const distance = rollingDeviations(100);
    return (value) => (distance(value, 0) > 2 ? 1 : 0);
  },
  'rolling z, window 1000': () => {
    const distance = rollingDeviations(1_000);
    return (value) => distance(value, 0);
  },
  'beyond history': beyondHistory,
  sigma: () => kind('sigma'),
  robust: () => kind('robust'),
  novelty: () => kind('novelty'),
  seasonal: () => kind('seasonal'),
  'tail-threshold': () => kind('tail-threshold'),
};
