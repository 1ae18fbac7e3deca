import type { Span, SpanAttributes } from '@mnops/core/spi';
import type { ResolvedConfig } from '../config.js';
import { RequestSeries } from '../seams/request-series.js';
import type { ReadableSpanLike } from '../tracing/recorded-span.js';
import type { PerformanceAnomaly } from './anomaly.js';
import { AnomalyTracker } from './anomaly-tracker.js';
import { type EdgeContents, EdgeTable } from './edge-table.js';
import type { ForecastSource } from './forecast/forecast-source.js';
import { LoadHistory } from './forecast/load-history.js';
import type { Operation } from './operation.js';
import type { OperationStats } from './operation-stats.js';
import { type KnownOperation, OperationTable, type OperationTableOptions } from './operation-table.js';
import { factsOf, factsOfEnded, type Origin, originOf, type SpanFacts } from './span-facts.js';

type AnalysisSettings = NonNullable<ResolvedConfig['analysis']>;

/** What the engine tells its host. */
export interface AnalysisListeners {
  readonly opened: (anomaly: PerformanceAnomaly) => void;
  readonly closed: (anomaly: PerformanceAnomaly) => void;
}

/** What was known at one instant. */
export interface KnownFigures {
  readonly atMs: number;
  readonly operations: readonly KnownOperation[];
  readonly map: EdgeContents;
}

/** Series of metrics that are kept apart. */
export const maxMetrics = 1_000;

/** Origins remembered by resource; spans of one process share theirs. */
const maxOrigins = 1_000;

/** Feeds every span to the operation table, the edge table and the request figures. */
export class AnalysisEngine {
  readonly operations: OperationTable;
  /** Baselines of recorded metrics, beside the operations so that neither crowds the other out. */
  readonly metrics: OperationTable;
  readonly edges: EdgeTable;
  readonly requests: RequestSeries;
  readonly tracker: AnomalyTracker | undefined;
  readonly history: LoadHistory;
  readonly #origins = new Map<SpanAttributes, Origin>();
  #lastResource: SpanAttributes | undefined;
  #lastOrigin: Origin | undefined;

  constructor(settings: AnalysisSettings, listeners: AnalysisListeners) {
    const { anomalies, bucketMs, forecast } = settings;
    if (anomalies !== undefined) {
      const { detector, sigma, ...rest } = anomalies;
      this.tracker = new AnomalyTracker({ ...rest, ...listeners, bucketMs, detector: { detector, sigma } });
    }
    this.history = new LoadHistory({
      bucketMs,
      stepMs: forecast.stepMs,
      maxSteps: Math.ceil(forecast.seasonMs / forecast.stepMs) * forecast.seasons,
      maxBytes: forecast.maxBytes,
    });
    const table = {
      bucketMs,
      settleMs: settings.settleMs,
      maxOperations: settings.maxOperations,
      halfLifeMs: settings.halfLifeDays * 86_400_000,
      minSamples: settings.minSamples,
      maxBytes: settings.maxBytes,
      judge: (operation: Operation, index: number, stats: OperationStats) => {
        if (operation.kind !== 'metric') this.history.add(operation, index * bucketMs, stats);
        if (this.tracker === undefined) operation.learn(index, stats);
        else this.tracker.judge(operation, index, stats);
      },
    } satisfies OperationTableOptions;
    this.operations = new OperationTable(table);
    this.metrics = new OperationTable({ ...table, maxOperations: maxMetrics, maxBytes: settings.maxBytes / 4 });
    this.edges = new EdgeTable({ maxEdges: settings.maxDependencies });
    this.requests = new RequestSeries({
      slotMs: Math.min(bucketMs, 5_000),
      retainMs: settings.retainMs,
      maxSeries: 2_000,
      maxBytes: 16_777_216,
    });
  }

  /** Takes one span into account. */
  observe(span: Span, endMs: number, durationMs: number, nowMs: number): void {
    this.#count(factsOf(span, this.#originOf(span.resource), endMs, durationMs), span.attributes, nowMs);
  }

  /** Takes a span of the SDK into account. */
  observeEnded(
    span: ReadableSpanLike,
    resource: SpanAttributes,
    endMs: number,
    durationMs: number,
    nowMs: number,
    count?: number,
  ): void {
    const facts = factsOfEnded(span, this.#originOf(resource), endMs, durationMs, count);
    this.#count(facts, span.attributes as SpanAttributes, nowMs);
  }

  /** Closes what is due: buckets of operations, and spans that wait for their other side. */
  roll(wallMs: number, monotonicMs: number): void {
    this.operations.roll(wallMs, monotonicMs);
    this.metrics.roll(wallMs, monotonicMs);
    this.edges.settle(monotonicMs);
  }

  /** What is known now of each operation. */
  known(): Iterable<KnownOperation> {
    const isOpen = (operation: Operation): boolean => this.tracker?.isOpen(operation) === true;
    return [...this.operations.known(isOpen), ...this.metrics.known(isOpen)];
  }

  /** Takes over what was known before the process began; what faded since then is taken off. */
  restore({ atMs, operations, map }: KnownFigures, nowMs: number): void {
    const { halfLifeMs } = this.operations.time;
    const factor = 0.5 ** (Math.max(0, nowMs - atMs) / halfLifeMs);
    for (const known of operations) {
      known.figures.all.scale(factor);
      (known.kind === 'metric' ? this.metrics : this.operations).restore(known);
    }
    this.edges.absorb([map], nowMs);
  }

  /** What operations did up to the buckets that are closed by now. */
  forecastSource(wallMs: number, { bucketMs, settleMs, forecast }: AnalysisSettings): ForecastSource {
    const { operations, history } = this;
    const untilMs = Math.floor((wallMs - settleMs) / bucketMs) * bucketMs;
    return {
      operations: operations.operations,
      history,
      untilMs,
      seasonMs: forecast.seasonMs,
      stepMs: forecast.stepMs,
    };
  }

  #count(facts: SpanFacts, attributes: SpanAttributes, nowMs: number): void {
    this.operations.observe(facts);
    this.edges.observe(facts, nowMs);
    if (facts.kind !== 'server') return;
    const { origin, operation, error, endMs, durationMs, count } = facts;
    this.requests.observe(origin, operation, attributes, error, endMs, durationMs, count);
  }

  #originOf(resource: SpanAttributes): Origin {
    if (resource === this.#lastResource && this.#lastOrigin !== undefined) return this.#lastOrigin;
    let origin = this.#origins.get(resource);
    if (origin === undefined) {
      if (this.#origins.size >= maxOrigins) this.#origins.clear();
      origin = originOf(resource);
      this.#origins.set(resource, origin);
    }
    this.#lastResource = resource;
    this.#lastOrigin = origin;
    return origin;
  }
}
