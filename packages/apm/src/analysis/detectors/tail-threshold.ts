import { type Detector, type Expectation, judgeThenLearn } from './detector.js';
import { fitParetoTail, tailQuantile } from './generalized-pareto.js';

/** Values that the level is the mean of. */
const depth = 30;
/** Deviations that the threshold of a tail is taken from. */
const calibration = 200;
/** Share of the calibration that lies in a tail. */
const tailShare = 0.05;
/** Probability of a value at which it is an anomaly. */
const risk = 1e-4;
/** Excesses that a tail is fitted to; the newest count. */
const maxExcesses = 120;

/** One side of the deviations from the level. */
class Tail {
  readonly #start: number;
  readonly #excesses: number[];
  #seen: number;
  #passed: number;
  #unfitted = 0;
  /** Deviation that is passed with the risk. */
  limit = 0;

  constructor(deviations: readonly number[]) {
    const sorted = deviations.toSorted((a, b) => a - b);
    this.#start = sorted[Math.floor((1 - tailShare) * (sorted.length - 1))] as number;
    this.#excesses = sorted.filter((deviation) => deviation > this.#start).map((deviation) => deviation - this.#start);
    this.#seen = sorted.length;
    this.#passed = this.#excesses.length;
    this.#fit();
  }

  learn(deviation: number): void {
    this.#seen += 1;
    if (deviation <= this.#start) return;
    this.#passed += 1;
    // An anomaly counts as just usual: left out, a limit that is too low would stay so.
    this.#excesses.push(Math.min(deviation, this.limit) - this.#start);
    if (this.#excesses.length > maxExcesses) this.#excesses.shift();
    this.#unfitted += 1;
    if (this.#unfitted * 5 >= this.#excesses.length) this.#fit();
  }

  #fit(): void {
    this.#unfitted = 0;
    if (this.#excesses.length === 0) {
      this.limit = Math.max(this.#start, 1e-9);
      return;
    }
    const fitted = fitParetoTail(this.#excesses);
    // So few excesses cannot show that a tail ends; it is taken for an exponential one.
    const mean = this.#excesses.reduce((sum, excess) => sum + excess, 0) / this.#excesses.length;
    const tail = fitted.shape < 0 ? { shape: 0, scale: mean } : fitted;
    this.limit = Math.max(this.#start + tailQuantile(tail, risk, Math.max(this.#passed / this.#seen, risk)), 1e-9);
  }
}

/**
 * Alarms at deviations from the mean of the last 30 values that happen once in 10,000 values, on either side. The tails
 * are generalised Pareto distributions, fitted again as their largest deviations change.
 *
 * The method is that of Siffer et al., "Anomaly Detection in Streams with Extreme Value Theory" (KDD 2017), DSPOT.
 */
export function tailThresholdDetector(minPoints: number): Detector {
  const needed = Math.max(calibration, minPoints);
  const recent = new Float64Array(depth);
  let count = 0;
  let sum = 0;
  let deviations: number[] = [];
  let tails: { readonly above: Tail; readonly below: Tail } | undefined;

  const limits = (noise: number): { readonly above: number; readonly below: number } | undefined =>
    tails && { above: Math.max(tails.above.limit, 5 * noise), below: Math.max(tails.below.limit, 5 * noise) };
  const score = (value: number, noise = 0): number => {
    const found = limits(noise);
    if (found === undefined || Number.isNaN(value)) return 0;
    const deviation = value - sum / depth;
    return Math.min(1, Math.abs(deviation) / (deviation > 0 ? found.above : found.below) / 2);
  };
  const learn = (value: number): void => {
    if (!Number.isFinite(value)) return;
    if (count >= depth) learnDeviation(value - sum / depth);
    sum += value - (recent[count % depth] as number);
    recent[count % depth] = value;
    count += 1;
    // The running sum loses digits over time.
    if (count % 1_024 === 0) sum = recent.reduce((total, one) => total + one, 0);
  };
  const learnDeviation = (deviation: number): void => {
    if (tails !== undefined) {
      tails.above.learn(deviation);
      tails.below.learn(-deviation);
      return;
    }
    deviations.push(deviation);
    if (deviations.length < needed) return;
    tails = { above: new Tail(deviations), below: new Tail(deviations.map((one) => -one)) };
    deviations = [];
  };
  return judgeThenLearn({
    id: 'tail-threshold',
    score,
    learn,
    expected(noise = 0): Expectation | undefined {
      const found = limits(noise);
      const mean = sum / depth;
      return found && { low: mean - found.below, value: mean, high: mean + found.above };
    },
  });
}
