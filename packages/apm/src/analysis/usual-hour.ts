import { chooseFigures } from './hourly-stats.js';
import type { Operation } from './operation.js';
import type { EffectFloors, Judgement } from './signals.js';

/**
 * Whether what looks unusual beside the last minutes is what this hour of the week, or of the day, always looks like: a
 * nightly job is no anomaly. Where the hour was not seen before, nothing is excused.
 */
export function isUsualForHour(
  operation: Operation,
  judgement: Judgement,
  atMs: number,
  minSamples: number,
  floors: EffectFloors,
): boolean {
  const { time } = operation;
  const usual = chooseFigures([operation.figures(true)], atMs, minSamples, time);
  if (usual.bucket === 'all' || !usual.recurred) return false;
  const { stats, observedMs } = usual;
  const { observed } = judgement;
  switch (judgement.statistic) {
    case 'p50':
    case 'p90': {
      const expected = stats.durationMs.quantile(judgement.statistic === 'p50' ? 0.5 : 0.9) ?? 0;
      return observed < expected * floors.minIncreaseRatio || observed - expected < floors.minIncreaseMs;
    }
    case 'error-share':
      return observed - stats.errors / stats.count < floors.minErrorShareIncrease;
    case 'calls-per-second': {
      const expected = stats.count / Math.max(1, observedMs / 1_000);
      return observed > expected / 2 && observed < expected * 2;
    }
    default: {
      const { mean, standardDeviation } = stats.moments;
      return Math.abs(observed - mean) <= Math.max(3 * standardDeviation, Math.abs(mean) * 0.1);
    }
  }
}
