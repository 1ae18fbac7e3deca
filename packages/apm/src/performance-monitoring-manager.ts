import { withCall } from '@mnops/core';
import { type EventHub, eventHub, Lifecycle, processHooks, type StopOptions } from '@mnops/core/lifecycle';
import { traced } from '@mnops/core/operations';
import type {
  Call,
  CallOptions,
  HealthReport,
  HealthSource,
  HostStatus,
  MetricSource,
  Recoverable,
  Span,
} from '@mnops/core/spi';
import type { Context, Span as OtelSpan, Tracer } from '@opentelemetry/api';
import { AnalysisEngine } from './analysis/analysis-engine.js';
import type { AnomalyQuery, PerformanceAnomaly } from './analysis/anomaly.js';
import type { OperationFilter, PerformanceBaseline, TimeWindow } from './analysis/operation-table.js';
import { buildServiceMap, type ServiceMap } from './analysis/service-map.js';
import { epochMs } from './analysis/span-facts.js';
import { AnomalyNotices } from './anomaly-notices.js';
import { type APMConfig, type ResolvedConfig, resolveConfig } from './config.js';
import { Deliveries } from './delivery/deliveries.js';
import type { DeliveryReport } from './delivery/delivery-report.js';
import { findTrace, matchingTraces, openKeptFolder, recoverableOf } from './disk/keep-traces.js';
import type { KeptFolder } from './disk/kept-folder.js';
import type { APMEvents } from './events.js';
import { type Forecast, type ForecastQuery, forecastOperation } from './forecast-query.js';
import { type IngestReport, spanProblem } from './ingest.js';
import type { Metric } from './metrics/metric.js';
import { queryRecorded } from './metrics/query-recorded.js';
import { type RecordedMetrics, recordedMetrics } from './metrics/recorded-metrics.js';
import type { IncomingHeaders } from './propagation/trace-context.js';
import { checkQuery } from './query-options.js';
import { findRootCauseIn, type RootCauseQuery, type RootCauseReport } from './root-cause-query.js';
import { Sampling } from './sampling/sampling.js';
import { anomalyHealthSource } from './seams/health-source.js';
import { traceMetricSource } from './seams/metric-source.js';
import { RequestSeries } from './seams/request-series.js';
import type { APMSnapshot } from './snapshot/apm-snapshot.js';
import { type SharedFigures, sharedFigures } from './snapshot/shared-figures.js';
import type { APMStats } from './stats.js';
import type { TraceQuery } from './store/trace-query.js';
import { type HeldTrace, TraceRing } from './store/trace-ring.js';
import { assembleTrace, type Trace } from './trace.js';
import { emptyContext } from './tracing/idle-context.js';
import { plainSpan, RecordedSpan } from './tracing/recorded-span.js';
import { runWithin, type SpanOptions } from './tracing/span-options.js';
import { type SpanProcessorLike, Tracing } from './tracing/tracing.js';

const defaultGraceMs = 5_000;
/** Spans taken before other work gets a turn. */
const ingestSlice = 1_000;

/**
 * Traces a program, keeps its newest traces and says what is usual, what is not and why: in the process, without a
 * server. The same spans may be delivered to back ends.
 *
 * After `start()` no tracing call throws into user code; before it and after `stop()` spans record nothing.
 */
export class PerformanceMonitoringManager implements AsyncDisposable {
  readonly #config: ResolvedConfig;
  readonly #lifecycle: Lifecycle;
  readonly #events: EventHub<APMEvents> = eventHub<APMEvents>();
  readonly #ring: TraceRing;
  readonly #analysis: AnalysisEngine | undefined;
  readonly #sampling: Sampling;
  readonly #shared: SharedFigures;
  #kept: KeptFolder | undefined;
  readonly #metrics: RecordedMetrics;
  readonly #tracing: Tracing;
  readonly #deliveries: Deliveries;
  readonly #notices: AnomalyNotices;
  readonly #ingested = { accepted: 0, rejected: 0 };
  #timer: { cancel(): void } | undefined;
  #removeHook: (() => void) | undefined;
  /** Answers `http_server_request_duration_seconds` from server spans, of this process and of ingested ones, and recorded metrics. */
  readonly metricSource: MetricSource;
  /** Judges the traced services by their open anomalies. */
  readonly healthSource: HealthSource;
  /** Saves and restores traces, baselines and map of `folder`, into a folder of its own. */
  readonly recoverable: Recoverable;

  /** @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID` with every wrong option. No I/O happens here. */
  constructor(config: APMConfig = {}) {
    this.#config = resolveConfig(config);
    const { store, analysis, clock, notifiers, secrets } = this.#config;
    const evicting =
      this.#config.folder === undefined ? undefined : (trace: HeldTrace) => this.#kept?.traces.evicting(trace);
    this.#ring = new TraceRing({ ...store, evicting });
    this.#notices = new AnomalyNotices(notifiers, clock, secrets);
    this.#analysis =
      analysis === undefined
        ? undefined
        : new AnalysisEngine(analysis, {
            opened: (anomaly) => this.#announce('anomaly:opened', anomaly),
            closed: (anomaly) => this.#announce('anomaly:closed', anomaly),
          });
    this.#shared = sharedFigures(this.#config, this.#analysis);
    this.#deliveries = new Deliveries(this.#config, {
      emit: (event, value) => this.#events.emit(event, value),
      degrade: (reason) => this.#lifecycle.degrade(reason),
      recover: (reason) => this.#lifecycle.recover(reason),
      quietly: (run) => (this.#tracing.runtime === undefined ? run() : this.#tracing.runtime.quietly(run)),
      rated: (rates) => this.#sampling.heed(rates),
    });
    this.#sampling = new Sampling(this.#config, (span, resource, endMs, durationMs) => {
      const recorded = this.#deliveries.any ? new RecordedSpan(span, resource) : undefined;
      this.#ring.addEnded(span, resource, endMs - durationMs, endMs);
      if (recorded !== undefined) this.#deliveries.add(recorded);
      this.#kept?.traces.seen(span.spanContext().traceId, clock.monotonic());
    });
    this.#tracing = new Tracing(this.#config, this.#sampling, (span, resource, endMs, durationMs, nowMs) => {
      this.#analysis?.observeEnded(span, resource, endMs, durationMs, nowMs, this.#sampling.countOf(span));
      this.#sampling.take(span, resource, endMs, durationMs, nowMs);
    });
    this.#lifecycle = new Lifecycle({
      name: 'PerformanceMonitoringManager',
      clock,
      start: (call) => this.#start(call),
      drain: async (call) => {
        this.#tracing.settle();
        this.#sampling.finish();
        await this.#deliveries.flush(call);
      },
      close: () => this.#close(),
    });
    const now = (): number => clock.now();
    const requests =
      this.#analysis?.requests ?? new RequestSeries({ slotMs: 1, retainMs: 1, maxSeries: 1, maxBytes: 1 });
    const settled = (): RequestSeries => {
      this.#tracing.settle();
      return requests;
    };
    this.#metrics = recordedMetrics(this.#config, this.#analysis);
    const { name } = this.#config.service;
    this.metricSource = traceMetricSource(settled, now, (selection, atMs) =>
      queryRecorded(this.#metrics, name, selection, atMs),
    );
    this.recoverable = recoverableOf(this.#config, this.#ring, async () => await this.#kept?.flush());
    this.healthSource = anomalyHealthSource(() => this.detectAnomalies({ open: true }), now);
  }

  /** `degraded` while an exporter cannot reach its back end. */
  get status(): HostStatus {
    return this.#lifecycle.status;
  }

  /** OpenTelemetry tracer of this program. Its spans record nothing until `start()`. */
  get tracer(): Tracer {
    return this.#tracing.tracer;
  }

  /** Plugs into an OpenTelemetry SDK (2.x or 3.x) that runs already: its finished spans are recorded here too. */
  get spanProcessor(): SpanProcessorLike {
    return this.#tracing.processor(() => this.flush().then(() => undefined));
  }

  /**
   * Tracing works: OpenTelemetry is loaded, its globals are set unless another SDK has them, exporters are open.
   *
   * @throws {MnopsError} `MNOPS_CORE_DEPENDENCY_MISSING` when `@opentelemetry/api` is not installed, `MNOPS_CORE_CLOSED`
   * after a stop, or what an exporter's `open` threw.
   */
  async start(options: CallOptions = {}): Promise<void> {
    await this.#lifecycle.start(options);
  }

  /**
   * What is held now is delivered or given up, and what is kept in `folder` is there.
   *
   * @param options - `timeoutMs`: default 30_000.
   * @throws {MnopsError} `MNOPS_CORE_TIMEOUT` when a back end is away for longer; the spans stay held.
   */
  async flush(options: CallOptions = {}): Promise<DeliveryReport> {
    const limits = { timeoutMs: 30_000, ...options, clock: this.#config.clock };
    await traced('mnops:apm:flush', { exporters: this.#config.exporters.length }, async (context) => {
      await this.#kept?.flush();
      this.#tracing.settle();
      await withCall(limits, async (call) => await this.#deliveries.flush(call));
      context['held'] = this.#deliveries.held;
    });
    return this.#deliveries.report;
  }

  /**
   * Tracing has ended: held spans are delivered within `graceMs` (default 5_000), the rest is left in `folder` for the next
   * start, or given up and counted without one; the OpenTelemetry globals are free again. What was kept and learned can still be read.
   */
  async stop(options: StopOptions = {}): Promise<DeliveryReport> {
    await this.#lifecycle.stop({ graceMs: options.graceMs ?? defaultGraceMs });
    return this.#deliveries.report;
  }

  /** Stops with the default grace. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  /** Calls the listener at each event; the function that comes back removes it. */
  on<E extends keyof APMEvents & string>(event: E, listener: (value: APMEvents[E]) => void): () => void {
    return this.#events.on(event, listener);
  }

  /**
   * Runs work inside a span: active during it and all that it awaits, ended with it, failed when it throws or rejects.
   *
   * @param name - Name of the operation. Use the route or the template, not the raw URL.
   * @returns What `run` returned; a promise stays a promise. Errors pass through unchanged.
   */
  trace<T>(name: string, run: (span: OtelSpan) => T): T;
  trace<T>(name: string, options: SpanOptions, run: (span: OtelSpan) => T): T;
  trace<T>(name: string, ...rest: [(span: OtelSpan) => T] | [SpanOptions, (span: OtelSpan) => T]): T {
    const [options, run] = rest.length === 1 ? [{}, rest[0]] : rest;
    const { span, within } = this.#tracing.begin(name, options);
    return within(() => runWithin(span, run));
  }

  /** Writes `traceparent`, `tracestate` and `baggage` of the active span, or of a context, into headers. */
  inject(headers: Record<string, string>, context?: Context): void {
    this.#tracing.inject(headers, context);
  }

  /** The context that a request's headers carry. Invalid headers give an empty one; nothing is thrown. */
  extract(headers: IncomingHeaders): Context {
    return this.#tracing.extract(headers) ?? emptyContext();
  }

  /** Runs work with a context active, such as one from `extract`. Returns what the work returned. */
  withContext<T>(context: Context, run: () => T): T {
    const { runtime } = this.#tracing;
    return runtime === undefined ? run() : runtime.withContext(context, run);
  }

  /**
   * Records finished spans of other processes: they join traces, baselines, map and request figures here. They are not
   * delivered to this manager's exporters, which is the business of the process that made them.
   */
  async ingest(spans: Iterable<Span> | AsyncIterable<Span>, options: CallOptions = {}): Promise<IngestReport> {
    this.#lifecycle.assertUsable();
    const report = { accepted: 0, rejected: 0, repeated: 0, reasons: new Set<string>() };
    await traced('mnops:apm:ingest', {}, async (context) => {
      let taken = 0;
      // Two loops: waiting at each span of a plain list would cost more than taking it.
      const pause = async (): Promise<void> => {
        await new Promise<void>((resolve) => setImmediate(resolve));
        options.signal?.throwIfAborted();
      };
      options.signal?.throwIfAborted();
      if (Symbol.iterator in spans) {
        for (const span of spans) {
          taken += 1;
          this.#ingestOne(span, report);
          if (taken % ingestSlice === 0) await pause();
        }
      } else {
        for await (const span of spans) {
          options.signal?.throwIfAborted();
          this.#ingestOne(span, report);
        }
      }
      Object.assign(context, { accepted: report.accepted, rejected: report.rejected });
    });
    return { ...report, reasons: [...report.reasons] };
  }

  /** The trace with this id, of all services whose spans are here; `undefined` when it is not, or not any more. */
  async getTrace(traceId: string, options: CallOptions = {}): Promise<Trace | undefined> {
    this.#tracing.settle();
    options.signal?.throwIfAborted();
    const held = await findTrace(this.#ring, this.#kept, traceId.toLowerCase(), options.signal);
    return held && assembleTrace(held.traceId, held.spans.map(plainSpan), held.cut === 0);
  }

  /**
   * Traces that match, newest first: those in memory, then those in `folder`.
   *
   * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID` for a condition that it does not know; so do the queries below.
   */
  async *findTraces(query: TraceQuery = {}, options: CallOptions = {}): AsyncIterable<Trace> {
    checkQuery('findTraces', query);
    this.#tracing.settle();
    for await (const held of matchingTraces(this.#ring, this.#kept, query, options.signal)) {
      yield assembleTrace(held.traceId, held.spans.map(plainSpan), held.cut === 0);
    }
  }

  /** What is usual for each operation that matches, most calls first. Empty when analysis is off. */
  baselines(filter: OperationFilter = {}): PerformanceBaseline[] {
    checkQuery('baselines', filter);
    this.#tracing.settle();
    return this.#shared.baselines(filter);
  }

  /** Open and recent anomalies that match, newest first. */
  detectAnomalies(query: AnomalyQuery = {}): PerformanceAnomaly[] {
    checkQuery('detectAnomalies', query);
    this.#tracing.settle();
    return this.#analysis?.tracker?.find(query) ?? [];
  }

  /**
   * What an operation will do in the next time, by what it did in the weeks before. Act on it only while `usable`.
   *
   * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID` for a query that cannot be read.
   */
  forecast(query: ForecastQuery): Forecast {
    this.#tracing.settle();
    const { clock, analysis: settings } = this.#config;
    const source = this.#analysis && settings && this.#analysis.forecastSource(clock.now(), settings);
    return forecastOperation(source, query);
  }

  /** Who calls whom: since the start, or, with a window, by the traces kept of that time. */
  serviceMap(window?: TimeWindow): ServiceMap {
    checkQuery('serviceMap', window);
    this.#tracing.settle();
    if (window === undefined && this.#analysis !== undefined) return this.#shared.map();
    const [from, to] = [window?.from?.getTime() ?? Number.NEGATIVE_INFINITY, window?.to?.getTime() ?? Infinity];
    const traces = [...this.#ring.newestFirst()].filter(({ startMs }) => startMs >= from && startMs <= to);
    return buildServiceMap(traces.flatMap((trace) => trace.spans));
  }

  /**
   * Takes one value of a metric: it gets baselines (kind `metric`) and anomalies (signal `metric`), and `metricSource`
   * answers about it. What cannot be used is counted in `stats().metrics`; nothing is thrown.
   */
  recordMetric(metric: Metric): void {
    this.#metrics.record(metric);
  }

  /**
   * Baselines and map of this process, and of the others whose snapshots were merged, for `JSON.stringify`.
   *
   * @throws {MnopsError} `MNOPS_CORE_UNSUPPORTED` when the analysis is off.
   */
  exportSnapshot(): APMSnapshot {
    this.#tracing.settle();
    return this.#shared.export();
  }

  /**
   * Baselines and map count the processes of the snapshot in from now on. The newest state of a process replaces the one
   * before, so order and repetition do not matter.
   *
   * @throws {MnopsError} `MNOPS_APM_SNAPSHOT_INVALID` with the field that is wrong, `MNOPS_APM_SKETCH_MISMATCH` for
   * sketches of another resolution, `MNOPS_CORE_UNSUPPORTED` when the analysis is off. Nothing is taken then.
   */
  mergeSnapshot(snapshot: APMSnapshot): void {
    this.#shared.merge(snapshot);
  }

  /**
   * Ranks the services by how much of a change began in them, from the traces kept of before and after, and from
   * the metrics and lines of the query. The verdict is `none` when nothing changed beyond chance, or when there is too
   * little on either side.
   *
   * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID` for a query that cannot be read.
   */
  async findRootCause(query: RootCauseQuery, options: CallOptions = {}): Promise<RootCauseReport> {
    this.#tracing.settle();
    options.signal?.throwIfAborted();
    const fields = { service: query?.service ?? '', operation: query?.operation ?? '' };
    return await traced('mnops:apm:find-root-cause', fields, async (context) => {
      const elapsed = (): number => this.#config.clock.monotonic();
      const report = await findRootCauseIn(
        (range) => matchingTraces(this.#ring, this.#kept, { ...range, limit: Infinity }, options.signal),
        query,
        elapsed,
      );
      const { traces, candidates, verdict } = report;
      Object.assign(context, { traces: traces.normal + traces.faulty, candidates: candidates.length, verdict });
      return report;
    });
  }

  /** State of this manager itself: running or not, and which exporter is away. */
  async health(): Promise<HealthReport> {
    const { status, reasons } = this.#lifecycle;
    const healthy = status === 'ready' ? 'healthy' : 'unhealthy';
    return {
      status: status === 'degraded' ? 'degraded' : healthy,
      reasons: status === 'ready' || status === 'degraded' ? reasons : [`The manager is ${status}.`, ...reasons],
      atMs: this.#config.clock.now(),
    };
  }

  /** Every counter: where spans are, what was dropped and why, how full each table is. */
  stats(): APMStats {
    this.#tracing.settle();
    const analysis = this.#analysis;
    return {
      spans: { ...this.#tracing.counts, ingested: this.#ingested.accepted, rejected: this.#ingested.rejected },
      sampling: this.#sampling.stats,
      traces: this.#ring.stats,
      analysis: {
        operations: analysis?.operations.size ?? 0,
        operationsOverflowed: analysis?.operations.overflowed ?? 0,
        dependenciesOverflowed: analysis?.edges.overflowed ?? 0,
        waitingForOtherSide: analysis?.edges.pending ?? 0,
        requestSeries: analysis?.requests.seriesCount ?? 0,
        requestsOverflowed: analysis?.requests.overflowed ?? 0,
      },
      metrics: this.#metrics.stats,
      shared: this.#shared.stats,
      ...(this.#kept === undefined ? {} : { disk: this.#kept.stats }),
      notifications: this.#notices.stats,
      exporters: this.#deliveries.report.exporters,
    };
  }

  async #start(call: Call): Promise<void> {
    this.#kept ??= await openKeptFolder(this.#config, this.#ring, this.#shared, {
      settle: () => this.#tracing.settle(),
      damaged: (damage) => this.#events.emit('storage:damaged', damage),
      degrade: (reason) => this.#lifecycle.degrade(reason),
      recover: (reason) => this.#lifecycle.recover(reason),
    });
    await this.#tracing.start();
    await this.#deliveries.open(call);
    if (this.#analysis !== undefined || this.#sampling.waits) this.#schedule();
    if (!this.#config.processHooks) return;
    /** Whether the natural end was put off in vain. */
    let tried = false;
    const unfinished = (): boolean => this.#deliveries.held > 0 || this.#kept?.unsaved === true;
    const finish = async (): Promise<void> => {
      this.#tracing.settle();
      await this.#kept?.flush();
      const limits = { timeoutMs: defaultGraceMs, clock: this.#config.clock };
      await withCall(limits, async (ending) => await this.#deliveries.flushOrKeep(ending));
    };
    this.#removeHook = processHooks().register({
      name: 'apm',
      graceMs: defaultGraceMs,
      flush: finish,
      naturalEnd: () => {
        this.#tracing.settle();
        if (tried || !unfinished()) return undefined;
        return finish()
          .catch(() => undefined)
          .finally(() => {
            tried = unfinished();
          });
      },
      writeNow: () => {
        this.#tracing.settle();
        this.#deliveries.persistNow();
      },
    });
  }

  #schedule(): void {
    const { clock } = this.#config;
    const everyMs = Math.min(this.#config.analysis?.bucketMs ?? 10_000, 1_000);
    this.#timer = clock.setTimer(everyMs, () => {
      this.#tracing.settle();
      this.#analysis?.roll(clock.now(), clock.monotonic());
      this.#sampling.sweep();
      this.#schedule();
    });
  }

  async #close(): Promise<void> {
    this.#timer?.cancel();
    this.#removeHook?.();
    this.#tracing.stop();
    this.#sampling.finish();
    await this.#deliveries.close();
    await this.#kept?.close();
    await this.#notices.settled();
  }

  #ingestOne(span: Span, report: { accepted: number; rejected: number; repeated: number; reasons: Set<string> }): void {
    const problem = spanProblem(span);
    if (problem !== undefined) {
      report.rejected += 1;
      this.#ingested.rejected += 1;
      if (report.reasons.size < 10) report.reasons.add(problem);
      return;
    }
    const startMs = epochMs(span.startTimeUnixNano);
    const durationMs = Number(span.durationNano) / 1e6;
    report.accepted += 1;
    this.#ingested.accepted += 1;
    // A span of our own may come back from another process.
    this.#tracing.settle();
    if (!this.#ring.add(span, startMs, startMs + durationMs)) {
      report.repeated += 1;
      return;
    }
    const nowMs = this.#config.clock.monotonic();
    this.#kept?.traces.seen(span.traceId, nowMs);
    this.#analysis?.observe(span, startMs + durationMs, durationMs, nowMs);
  }

  #announce(event: 'anomaly:opened' | 'anomaly:closed', anomaly: PerformanceAnomaly): void {
    this.#events.emit(event, anomaly);
    this.#notices.announce(anomaly);
  }
}
