import { traced } from '@mnops/core/operations';
import type { Call, Clock, MetricSource } from '@mnops/core/spi';
import type { AnalysisMetric, Measurement, RolloutAnalysis } from '../deployment.js';
import { assess, emptyTally, type MetricPhase, type MetricTally, tallied } from './assess.js';
import { type Comparison, measure } from './measure.js';

/** What the metrics together say. */
export interface AnalysisVerdict {
  /** `no-data`: at the end of a step something has not been judged yet. */
  readonly phase: 'running' | 'failure' | 'inconclusive' | 'no-data';
  /** Sentences that say why. */
  readonly messages: readonly string[];
}

interface MetricState {
  readonly metric: AnalysisMetric;
  tally: MetricTally;
  nextMs: number;
  last: Measurement | undefined;
  successInStep: boolean;
}

const keptMeasurements = 1_000;

/** Measures the metrics of one analysis in their own time, and says what they mean. */
export class AnalysisRun {
  readonly measurements: Measurement[] = [];
  readonly #options: {
    readonly comparison: Comparison;
    readonly sources: Readonly<Record<string, MetricSource>>;
    readonly clock: Clock;
  };
  readonly #metrics: MetricState[];

  constructor(
    analysis: RolloutAnalysis,
    options: {
      readonly comparison: Comparison;
      readonly sources: Readonly<Record<string, MetricSource>>;
      readonly clock: Clock;
    },
  ) {
    this.#options = options;
    const now = options.clock.monotonic();
    this.#metrics = analysis.metrics.map((metric) => ({
      metric,
      tally: emptyTally,
      nextMs: now + (metric.initialDelayMs ?? 0),
      last: undefined,
      successInStep: false,
    }));
  }

  /** When the next metric is due, on the monotonic clock. */
  get nextMs(): number {
    const due = this.#metrics.filter(({ metric, tally }) => assess(metric, tally) === 'running');
    return Math.min(...due.map(({ nextMs }) => nextMs), Number.POSITIVE_INFINITY);
  }

  /** From now on a success is one of the next step. */
  beginStep(): void {
    for (const state of this.#metrics) state.successInStep = false;
  }

  /** Measures what is due. */
  async tick(call: Call): Promise<AnalysisVerdict> {
    const now = this.#options.clock.monotonic();
    for (const state of this.#metrics) {
      if (state.nextMs <= now && assess(state.metric, state.tally) === 'running') await this.#measure(state, call);
    }
    return this.verdict();
  }

  /**
   * The verdict at the end of a step: every metric must have succeeded in it, so what has not yet is asked once more.
   *
   * @param stepMs - How long the step has lasted: windows reach back to its beginning.
   */
  async endStep(call: Call, stepMs: number): Promise<AnalysisVerdict> {
    for (const state of this.#metrics) if (!state.successInStep) await this.#measure(state, call, stepMs);
    const verdict = this.verdict();
    if (verdict.phase !== 'running') return verdict;
    const open = this.#metrics.filter(({ metric, successInStep }) => metric.dryRun !== true && !successInStep);
    if (open.length === 0) return verdict;
    return {
      phase: 'no-data',
      messages: open.map(({ metric, last }) => last?.message ?? `${metric.name}: no data.`),
    };
  }

  verdict(): AnalysisVerdict {
    const judged = this.#metrics.filter(({ metric }) => metric.dryRun !== true);
    const at = (...phases: MetricPhase[]): string[] =>
      judged
        .filter(({ metric, tally }) => phases.includes(assess(metric, tally)))
        .map(({ metric, last }) => last?.message ?? metric.name);
    const failed = at('failure', 'error');
    if (failed.length > 0) return { phase: 'failure', messages: failed };
    const inconclusive = at('inconclusive');
    if (inconclusive.length > 0) return { phase: 'inconclusive', messages: inconclusive };
    return { phase: 'running', messages: [] };
  }

  async #measure(state: MetricState, call: Call, leastWindowMs = 0): Promise<void> {
    const { comparison, sources, clock } = this.#options;
    const { service, canary: revision } = comparison;
    const fields = { service, revision, metric: state.metric.name };
    const measurement = await traced('mnops:orchestration:analysis', fields, async (context) => {
      const made = await measure(state.metric, comparison, sources, clock, call, leastWindowMs);
      context['verdict'] = made.verdict;
      return made;
    });
    state.last = measurement;
    state.tally = tallied(state.tally, measurement.verdict);
    state.nextMs = clock.monotonic() + (state.metric.intervalMs ?? 10_000);
    if (measurement.verdict === 'success') state.successInStep = true;
    this.measurements.push(measurement);
    if (this.measurements.length > keptMeasurements) this.measurements.shift();
  }
}
