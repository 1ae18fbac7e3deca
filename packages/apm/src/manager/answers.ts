import { traced } from '@mnops/core/operations';
import type { CallOptions, HealthSource, MetricSource, Recoverable } from '@mnops/core/spi';
import type { AnomalyQuery, PerformanceAnomaly } from '../analysis/anomaly.js';
import type { OperationFilter, PerformanceBaseline, TimeWindow } from '../analysis/operation-table.js';
import { buildServiceMap, type ServiceMap } from '../analysis/service-map.js';
import type { ResolvedConfig } from '../config.js';
import { findTrace, matchingTraces, recoverableOf } from '../disk/keep-traces.js';
import { queryRecorded } from '../metrics/query-recorded.js';
import { type Forecast, type ForecastQuery, forecastOperation } from '../questions/forecast-query.js';
import { checkQuery } from '../questions/query-options.js';
import type { RootCauseQuery, RootCauseReport } from '../questions/root-cause-query.js';
import { anomalyHealthSource } from '../seams/health-source.js';
import { traceMetricSource } from '../seams/metric-source.js';
import { RequestSeries } from '../seams/request-series.js';
import type { APMStats } from '../stats.js';
import type { TraceQuery } from '../store/trace-query.js';
import type { Trace } from '../trace.js';
import { writableTrace } from '../trace-json.js';
import { plainSpan } from '../tracing/recorded-span.js';
import { checkCallOptions, checkTraceId } from './call-options.js';
import type { Pipeline } from './pipeline.js';

/** Answers questions about what the pipeline holds. What each takes and throws is said at the manager's methods. */
export class Answers {
  readonly #config: ResolvedConfig;
  readonly #pipeline: Pipeline;

  constructor(config: ResolvedConfig, pipeline: Pipeline) {
    this.#config = config;
    this.#pipeline = pipeline;
  }

  async getTrace(traceId: string, options: CallOptions): Promise<Trace | undefined> {
    checkTraceId(traceId);
    checkCallOptions('getTrace', options);
    const { signal } = options;
    const { ring, kept } = this.#settled();
    signal?.throwIfAborted();
    const held = await findTrace(ring, kept, traceId.toLowerCase(), signal);
    return held && writableTrace(held.traceId, held.spans.map(plainSpan), held.cut === 0);
  }

  async *findTraces(query: TraceQuery, options: CallOptions): AsyncIterable<Trace> {
    checkQuery('findTraces', query);
    checkCallOptions('findTraces', options);
    const { signal } = options;
    const { ring, kept } = this.#settled();
    for await (const held of matchingTraces(ring, kept, query, signal)) {
      yield writableTrace(held.traceId, held.spans.map(plainSpan), held.cut === 0);
    }
  }

  baselines(filter: OperationFilter): PerformanceBaseline[] {
    checkQuery('baselines', filter);
    return this.#settled().shared.baselines(filter);
  }

  anomalies(query: AnomalyQuery): PerformanceAnomaly[] {
    checkQuery('detectAnomalies', query);
    return this.#settled().analysis?.tracker?.find(query) ?? [];
  }

  forecast(query: ForecastQuery): Forecast {
    const { analysis } = this.#settled();
    const { clock, analysis: settings } = this.#config;
    return forecastOperation(analysis && settings && analysis.forecastSource(clock.now(), settings), query);
  }

  serviceMap(window?: TimeWindow): ServiceMap {
    checkQuery('serviceMap', window);
    const { ring, shared, analysis } = this.#settled();
    if (window === undefined && analysis !== undefined) return shared.map();
    const [from, to] = [window?.from?.getTime() ?? Number.NEGATIVE_INFINITY, window?.to?.getTime() ?? Infinity];
    const traces = [...ring.newestFirst()].filter(({ startMs }) => startMs >= from && startMs <= to);
    return buildServiceMap(traces.flatMap((trace) => trace.spans));
  }

  async findRootCause(input: RootCauseQuery, options: CallOptions): Promise<RootCauseReport> {
    // Loaded at the first question, because most programs import this package and never ask.
    const { checkedRootCauseQuery, findRootCauseIn } = await import('../questions/root-cause-query.js');
    const query = checkedRootCauseQuery(input);
    checkCallOptions('findRootCause', options);
    const { ring, kept } = this.#settled();
    const { signal } = options;
    signal?.throwIfAborted();
    const fields = { service: query.service ?? '', operation: query.operation ?? '' };
    return await traced('mnops:apm:find-root-cause', fields, async (context) => {
      const { clock, secrets } = this.#config;
      const report = await findRootCauseIn(
        (range) => matchingTraces(ring, kept, { ...range, limit: Infinity }, signal),
        query,
        { ...options, clock, secrets },
      );
      const { traces, candidates, verdict } = report;
      Object.assign(context, { traces: traces.normal + traces.faulty, candidates: candidates.length, verdict });
      return report;
    });
  }

  /** Every counter of the parts; what was ingested is counted elsewhere. */
  stats(ingested: { readonly ingested: number; readonly rejected: number }): APMStats {
    const { tracing, sampling, ring, analysis, metrics, input, shared, kept, notices, deliveries } = this.#settled();
    return {
      spans: { ...tracing.counts, ...ingested },
      sampling: sampling.stats,
      traces: ring.stats,
      analysis: {
        operations: analysis?.operations.size ?? 0,
        operationsOverflowed: analysis?.operations.overflowed ?? 0,
        dependenciesOverflowed: analysis?.edges.overflowed ?? 0,
        waitingForOtherSide: analysis?.edges.pending ?? 0,
        requestSeries: analysis?.requests.seriesCount ?? 0,
        requestsOverflowed: analysis?.requests.overflowed ?? 0,
      },
      ignoredInputs: input.ignored,
      metrics: metrics.stats,
      shared: shared.stats,
      ...(kept === undefined ? {} : { disk: kept.stats }),
      notifications: notices.stats,
      exporters: deliveries.report.exporters,
    };
  }

  get metricSource(): MetricSource {
    const { analysis, metrics } = this.#pipeline;
    const requests = analysis?.requests ?? new RequestSeries({ slotMs: 1, retainMs: 1, maxSeries: 1, maxBytes: 1 });
    const settled = (): RequestSeries => {
      this.#settled();
      return requests;
    };
    const { clock, service } = this.#config;
    return traceMetricSource(
      settled,
      () => clock.now(),
      (selection, atMs) => queryRecorded(metrics, service.name, selection, atMs),
    );
  }

  get healthSource(): HealthSource {
    return anomalyHealthSource(
      () => this.anomalies({ open: true }),
      () => this.#config.clock.now(),
    );
  }

  get recoverable(): Recoverable {
    return recoverableOf(this.#config, this.#pipeline.ring, async () => await this.#pipeline.kept?.flush());
  }

  /** The pipeline with every span that has ended where it belongs. */
  #settled(): Pipeline {
    this.#pipeline.settle();
    return this.#pipeline;
  }
}
