import { createDetector } from './detectors/create-detector.js';
import type { DetectorOptions } from './detectors/detector.js';
import type { Operation } from './operation.js';
import type { OperationStats } from './operation-stats.js';
import type { Signal } from './signals.js';

/** Spread that the value of a quiet series may have without anybody caring, as a share of its level. */
const noiseShare = 0.05;

/**
 * The level of a metric: what a counter counts per second, the mean of a gauge, the median of a histogram. Both directions
 * count, from a half more or a third less on.
 */
export function metricSignal(operation: Operation, options: DetectorOptions, bucketMs: number): Signal {
  const detector = createDetector(options);
  const levelOf = (stats: OperationStats, buckets: number): number | undefined => {
    if (operation.metric === 'counter') return stats.durationMs.sum / ((buckets * bucketMs) / 1_000);
    if (stats.count === 0) return undefined;
    return operation.metric === 'histogram' ? stats.durationMs.quantile(0.5) : stats.moments.mean;
  };
  return {
    name: 'metric',
    judge(stats, buckets) {
      const observed = levelOf(stats, buckets);
      const level = detector.expected()?.value;
      if (observed === undefined || level === undefined) return undefined;
      const noise = Math.abs(level) * noiseShare;
      const expected = detector.expected(noise);
      if (expected === undefined) return undefined;
      const low = Math.min(level / 1.5, level * 1.5);
      const high = Math.max(level / 1.5, level * 1.5);
      const changed = observed <= low || observed >= high;
      const score = changed && observed !== level ? detector.score(observed, noise) : 0;
      return { score, statistic: 'value', observed, expected };
    },
    agrees(stats, { observed, expected }) {
      const value = levelOf(stats, 1);
      if (value === undefined) return false;
      const half = (observed + expected.value) / 2;
      return observed > expected.value ? value >= half : value <= half;
    },
    learn(stats) {
      const value = levelOf(stats, 1);
      if (value !== undefined) detector.learn(value);
    },
  };
}
