import type { AnomalySignal, PerformanceAnomaly } from './anomaly.js';
import { createDetector } from './detectors/create-detector.js';
import type { Detector, DetectorOptions, Expectation } from './detectors/detector.js';
import { metricSignal } from './metric-signal.js';
import type { Operation } from './operation.js';
import type { OperationStats } from './operation-stats.js';

/** Smallest changes that are worth an anomaly, however certain they are. */
export interface EffectFloors {
  readonly minIncreaseMs: number;
  readonly minIncreaseRatio: number;
  readonly minErrorShareIncrease: number;
}

/** How unusual a stretch of time is in one respect. */
export interface Judgement {
  /** From 0 to 1; from 0.5 on it is unusual. */
  readonly score: number;
  readonly statistic: PerformanceAnomaly['statistic'];
  readonly observed: number;
  readonly expected: Expectation;
}

/** One respect in which an operation can be unusual. */
export interface Signal {
  readonly name: AnomalySignal;
  /** Judges a stretch of buckets against what was learned. `undefined`: too little to say. */
  judge(stats: OperationStats, buckets: number, atMs: number): Judgement | undefined;
  /** Whether one bucket by itself points in the direction of the judgement. */
  agrees(stats: OperationStats, judgement: Judgement): boolean;
  /** Learns one bucket that was normal. */
  learn(stats: OperationStats, atMs: number): void;
}

/** Spans below which a quantile of a stretch says nothing. */
const minStretchSpans = 10;
/** Spans below which a quantile of a bucket is not learned. */
const minBucketSpans = 3;

/** The signals of one operation, with nothing learned yet. */
export function signalsOf(
  operation: Operation,
  bucketMs: number,
  detector: DetectorOptions,
  floors: EffectFloors,
): readonly Signal[] {
  if (operation.kind === 'metric') return [metricSignal(operation, detector, bucketMs)];
  return [
    durationSignal(detector, floors),
    errorSignal(operation, detector, floors),
    throughputSignal(detector, bucketMs),
  ];
}

/** Median and 90th percentile on a logarithmic scale, where spread is relative; only a rise counts. */
function durationSignal(options: DetectorOptions, floors: EffectFloors): Signal {
  const quantiles = [
    { q: 0.5, statistic: 'p50' as const, spread: 1.25, detector: createDetector(options) },
    { q: 0.9, statistic: 'p90' as const, spread: 1.7, detector: createDetector(options) },
  ];
  const logarithm = (stats: OperationStats, q: number): number =>
    Math.log(Math.max(1e-6, stats.durationMs.quantile(q) ?? 0));
  /** Spread of one span's logarithm, from the distance between the two usual quantiles; at least 5 %. */
  const usualSpread = (atMs: number): number => {
    const [median, high] = quantiles.map(({ detector }) => detector.expected(0, atMs)?.value ?? 0);
    return Math.max(0.05, ((high ?? 0) - (median ?? 0)) / 1.28);
  };
  return {
    name: 'duration',
    judge(stats, _buckets, atMs) {
      if (stats.evidence < minStretchSpans) return undefined;
      let worst: Judgement | undefined;
      for (const { q, statistic, spread, detector } of quantiles) {
        // Standard error of a quantile of a lognormal series, and never below 5 % as a stretch of load is never quite alike.
        const noise = Math.max(0.05, (spread * usualSpread(atMs)) / Math.sqrt(stats.evidence));
        const usual = detector.expected(noise, atMs);
        if (usual === undefined) continue;
        const value = logarithm(stats, q);
        const [observed, expected] = [Math.exp(value), exponents(usual)];
        const increased =
          observed >= expected.value * floors.minIncreaseRatio && observed - expected.value >= floors.minIncreaseMs;
        const score = increased ? detector.score(value, noise, atMs) : 0;
        if (worst === undefined || score > worst.score) worst = { score, statistic, observed, expected };
      }
      return worst;
    },
    agrees(stats, judgement) {
      const observed = stats.durationMs.quantile(judgement.statistic === 'p50' ? 0.5 : 0.9) ?? 0;
      return observed >= judgement.expected.value * floors.minIncreaseRatio;
    },
    learn(stats, atMs) {
      if (stats.evidence < minBucketSpans) return;
      for (const { q, detector } of quantiles) detector.learn(logarithm(stats, q), atMs);
    },
  };
}

/** The share of failures, as a signed likelihood ratio against the usual share; only a rise counts. */
function errorSignal(operation: Operation, options: DetectorOptions, floors: EffectFloors): Signal {
  const detector: Detector = createDetector(options);
  const usualShare = (): number => (operation.baseline.errors + 0.5) / (operation.baseline.count + 1);
  return {
    name: 'errors',
    judge(stats, _buckets, atMs) {
      if (stats.count === 0) return undefined;
      const usual = usualShare();
      const share = stats.errors / stats.count;
      const increased =
        (stats.errors * stats.evidence) / stats.count >= 3 && share - usual >= floors.minErrorShareIncrease;
      const score = increased ? detector.score(likelihoodRoot(stats, usual), 1, atMs) : 0;
      const reach = 5 * Math.sqrt((usual * (1 - usual)) / stats.evidence);
      const expected = { low: Math.max(0, usual - reach), value: usual, high: Math.min(1, usual + reach) };
      return { score, statistic: 'error-share', observed: share, expected };
    },
    // A stray failure in a quiet bucket is no agreement with a burst in another one.
    agrees: (stats, judgement) => stats.errors / Math.max(1, stats.count) >= judgement.observed / 4,
    learn(stats, atMs) {
      if (stats.count > 0) detector.learn(likelihoodRoot(stats, usualShare()), atMs);
    },
  };
}

/** Spans per bucket on a square-root scale, where counts of independent spans spread by one half; both directions count. */
function throughputSignal(options: DetectorOptions, bucketMs: number): Signal {
  const detector = createDetector(options);
  const perSecond = (root: number): number => (Math.max(0, root) ** 2 * 1_000) / bucketMs;
  return {
    name: 'throughput',
    judge(stats, buckets, atMs) {
      const usual = detector.expected(0.5, atMs);
      if (usual === undefined || usual.value ** 2 * buckets < minStretchSpans) return undefined;
      const root = Math.sqrt(stats.count / buckets);
      const [observed, expected] = [perSecond(root), perSecond(usual.value)];
      const changed = observed <= expected / 2 || observed >= expected * 2;
      return {
        // A count of spans that stand for several each spreads by as much more.
        score: changed ? detector.score(root, 0.5 * Math.sqrt(stats.count / stats.evidence || 1), atMs) : 0,
        statistic: 'calls-per-second',
        observed,
        expected: { low: perSecond(usual.low), value: expected, high: perSecond(usual.high) },
      };
    },
    agrees(stats, judgement) {
      const observed = perSecond(Math.sqrt(stats.count));
      const { value } = judgement.expected;
      return judgement.observed < value ? observed <= value / 2 : observed >= value * 2;
    },
    learn: (stats, atMs) => detector.learn(Math.sqrt(stats.count), atMs),
  };
}

/** Signed root of the log-likelihood ratio of a binomial share: like a number of standard deviations, also for rare events. */
function likelihoodRoot(stats: OperationStats, usual: number): number {
  const share = stats.errors / stats.count;
  const count = stats.evidence;
  const errors = (stats.errors * count) / stats.count;
  const failed = errors > 0 ? errors * Math.log(share / usual) : 0;
  const passed = errors < count ? (count - errors) * Math.log((1 - share) / (1 - usual)) : 0;
  return Math.sign(share - usual) * Math.sqrt(2 * Math.max(0, failed + passed));
}

function exponents({ low, value, high }: Expectation): Expectation {
  return { low: Math.exp(low), value: Math.exp(value), high: Math.exp(high) };
}
