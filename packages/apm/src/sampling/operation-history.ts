import { LatencySketch } from '../analysis/latency-sketch.js';

const hourMs = 3_600_000;
const halfLifeMs = 7 * 24 * hourMs;
/** Operations that are told apart. */
const maxOperations = 1_000;

/** What is known of an operation before its newest run is added. */
export interface OperationJudgement {
  /** Slower than the quantile of all runs before; until there are enough for one, slower than each. */
  readonly slow: boolean;
  /** Ran fewer times in the last hour than the limit. */
  readonly rare: boolean;
}

interface History {
  readonly durationsMs: LatencySketch;
  /** Times of the newest runs, in a ring as long as the limit of rare operations. */
  readonly runsMs: Float64Array;
  next: number;
  lastMs: number;
}

/** Durations and frequency of the operations that traces begin with in this process. */
export class OperationHistory {
  readonly #quantile: number | undefined;
  readonly #rareBelow: number;
  readonly #histories = new Map<string, History>();
  #other: History | undefined;
  #fadedMs: number | undefined;

  /** @param quantile - Without one nothing is slow. */
  constructor(quantile: number | undefined, rareBelow: number) {
    this.#quantile = quantile;
    this.#rareBelow = rareBelow;
  }

  /** Judges one run and adds it. `nowMs` is monotonic. */
  judge(operation: string, durationMs: number, nowMs: number): OperationJudgement {
    const history = this.#historyOf(operation, nowMs);
    const slow = this.#isSlow(history.durationsMs, durationMs);
    if (this.#quantile !== undefined) history.durationsMs.add(durationMs);
    const { runsMs } = history;
    history.lastMs = nowMs;
    if (this.#rareBelow === 0) return { slow, rare: false };
    // The run as many runs ago as the limit: when it is over an hour old, fewer have come since.
    const rare = (runsMs[history.next] as number) <= nowMs - hourMs && history !== this.#other;
    runsMs[history.next] = nowMs;
    history.next = (history.next + 1) % this.#rareBelow;
    return { slow, rare };
  }

  /** Lets old durations fade. */
  fade(nowMs: number): void {
    this.#fadedMs ??= nowMs;
    if (nowMs - this.#fadedMs < hourMs) return;
    const factor = 0.5 ** ((nowMs - this.#fadedMs) / halfLifeMs);
    this.#fadedMs = nowMs;
    for (const { durationsMs } of this.#histories.values()) durationsMs.scale(factor);
  }

  #isSlow(durationsMs: LatencySketch, durationMs: number): boolean {
    if (this.#quantile === undefined) return false;
    const bound = durationsMs.supportedQuantile(this.#quantile);
    if (bound === undefined) return durationMs > (durationsMs.max ?? Number.POSITIVE_INFINITY);
    // The quantile may lie this much below what the sketch says.
    return durationMs > bound * (1 - 2 * LatencySketch.relativeError);
  }

  #historyOf(operation: string, nowMs: number): History {
    const known = this.#histories.get(operation);
    if (known !== undefined) return known;
    if (this.#histories.size >= maxOperations) {
      for (const [name, { lastMs }] of this.#histories) if (lastMs < nowMs - hourMs) this.#histories.delete(name);
    }
    if (this.#histories.size < maxOperations) {
      const created = this.#create();
      this.#histories.set(operation, created);
      return created;
    }
    this.#other ??= this.#create();
    return this.#other;
  }

  #create(): History {
    return {
      durationsMs: new LatencySketch(),
      runsMs: new Float64Array(this.#rareBelow).fill(Number.NEGATIVE_INFINITY),
      next: 0,
      lastMs: 0,
    };
  }
}
