import type { PerformanceAnomaly } from '../analysis/anomaly.js';
import { AnomalyTracker, type AnomalyTrackerOptions } from '../analysis/anomaly-tracker.js';
import { OperationTable } from '../analysis/operation-table.js';
import type { SpanFacts } from '../analysis/span-facts.js';
import { normal, randomOf } from './random.js';

/** A fault in simulated traffic: what happens to the share of requests that it hits. */
export interface SimulatedFault {
  readonly fromMs: number;
  readonly toMs: number;
  readonly share: number;
  readonly addMs?: number | undefined;
  readonly failShare?: number | undefined;
  readonly dropShare?: number | undefined;
}

/** Traffic of one operation. */
export interface SimulatedTraffic {
  readonly seed: number;
  readonly lengthMs: number;
  readonly perSecond: number;
  readonly medianMs: number;
  /** Spread of the logarithm of a duration. */
  readonly spread?: number | undefined;
  readonly errorShare?: number | undefined;
  /** Spread of a slow wave of load over the whole machine, as of a busy neighbour. */
  readonly wander?: number | undefined;
  readonly faults?: readonly SimulatedFault[] | undefined;
  readonly options?: Partial<AnomalyTrackerOptions> | undefined;
}

/** What the analysis made of simulated traffic. */
export interface SimulatedOutcome {
  readonly opened: readonly { readonly anomaly: PerformanceAnomaly; readonly atMs: number }[];
  readonly closed: readonly { readonly anomaly: PerformanceAnomaly; readonly atMs: number }[];
  readonly table: OperationTable;
  readonly tracker: AnomalyTracker;
}

const startMs = 1_700_000_000_000;

/** Runs simulated traffic through operation table and anomaly tracker, in simulated time from 0 on. */
export function simulate(traffic: SimulatedTraffic): SimulatedOutcome {
  const random = randomOf(traffic.seed);
  const { perSecond, medianMs, spread = 0.5, errorShare = 0.001, wander = 0.05, faults = [] } = traffic;
  const opened: { anomaly: PerformanceAnomaly; atMs: number }[] = [];
  const closed: { anomaly: PerformanceAnomaly; atMs: number }[] = [];
  let nowMs = 0;
  const options: AnomalyTrackerOptions = {
    bucketMs: 1_000,
    detector: { detector: 'adaptive', sigma: 2 },
    signals: ['duration', 'errors', 'throughput'],
    threshold: 0.5,
    minSamples: 30,
    minDurationMs: 4_000,
    cooldownMs: 30_000,
    adoptAfterMs: 3_600_000,
    minIncreaseMs: 5,
    minIncreaseRatio: 1.5,
    minErrorShareIncrease: 0.005,
    opened: (anomaly) => opened.push({ anomaly, atMs: nowMs }),
    closed: (anomaly) => closed.push({ anomaly, atMs: nowMs }),
    ...traffic.options,
  };
  const tracker = new AnomalyTracker(options);
  const table = new OperationTable({
    bucketMs: options.bucketMs,
    settleMs: 2_000,
    maxOperations: 100,
    halfLifeMs: 7 * 86_400_000,
    minSamples: 30,
    maxBytes: 33_554_432,
    judge: (operation, index, stats) => tracker.judge(operation, index, stats),
  });
  let wave = 0;
  let nextMs = 0;
  let nextRollMs = options.bucketMs;
  let sequence = 0;
  while (nowMs < traffic.lengthMs) {
    nextMs += (-Math.log(1 - random()) * 1_000) / perSecond;
    while (nextRollMs <= nextMs) {
      nowMs = nextRollMs;
      wave = 0.8 * wave + wander * normal(random);
      table.roll(startMs + nowMs, nowMs);
      nextRollMs += options.bucketMs;
    }
    nowMs = nextMs;
    const active = faults.find(({ fromMs, toMs }) => nowMs >= fromMs && nowMs < toMs);
    const fault = active !== undefined && random() < active.share ? active : undefined;
    if (random() < (fault?.dropShare ?? 0)) continue;
    const durationMs = medianMs * Math.exp(spread * normal(random) + wave) + (fault?.addMs ?? 0);
    const error = random() < (fault?.failShare ?? errorShare);
    sequence += 1;
    const facts: SpanFacts = {
      traceId: sequence.toString(16).padStart(32, '0'),
      spanId: sequence.toString(16).padStart(16, '0'),
      parentSpanId: undefined,
      origin: { service: 'catalog', version: undefined, instance: undefined },
      operation: 'GET /items',
      kind: 'server',
      endMs: startMs + nowMs,
      durationMs,
      error,
      peer: undefined,
    };
    table.observe(facts);
  }
  return { opened, closed, table, tracker };
}
