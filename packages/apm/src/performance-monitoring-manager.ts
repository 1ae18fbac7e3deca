import { withCall } from '@mnops/core';
import { eventHub, Lifecycle, type StopOptions } from '@mnops/core/lifecycle';
import { traced } from '@mnops/core/operations';
import type {
  CallOptions,
  HealthReport,
  HealthSource,
  HostStatus,
  MetricSource,
  Recoverable,
  Span,
} from '@mnops/core/spi';
import type { Context, Span as OtelSpan, Tracer } from '@opentelemetry/api';
import type { AnomalyQuery, PerformanceAnomaly } from './analysis/anomaly.js';
import type { OperationFilter, PerformanceBaseline, TimeWindow } from './analysis/operation-table.js';
import type { ServiceMap } from './analysis/service-map.js';
import { type APMConfig, type ResolvedConfig, resolveConfig } from './config.js';
import type { DeliveryReport } from './delivery/delivery-report.js';
import { type APMEvents, apmEvents } from './events.js';
import { Answers } from './manager/answers.js';
import { checkCallOptions, checkStopOptions } from './manager/call-options.js';
import type { IngestReport } from './manager/ingestion.js';
import { Ingestion } from './manager/ingestion.js';
import { Pipeline } from './manager/pipeline.js';
import { saveAtProcessEnd } from './manager/process-end.js';
import type { Metric } from './metrics/metric.js';
import type { HeaderCarrier, HeaderTarget } from './propagation/carrier.js';
import type { Forecast, ForecastQuery } from './questions/forecast-query.js';
import type { RootCauseQuery, RootCauseReport } from './questions/root-cause-query.js';
import type { APMSnapshot } from './snapshot/apm-snapshot.js';
import type { APMStats } from './stats.js';
import type { TraceQuery } from './store/trace-query.js';
import type { Trace } from './trace.js';
import { emptyContext } from './tracing/idle-context.js';
import { contextSchema, isOddContext } from './tracing/span-input.js';
import { runWithin, type SpanOptions } from './tracing/span-options.js';
import type { SpanProcessorLike } from './tracing/tracing.js';

const defaultGraceMs = 5_000;

/**
 * Traces a program, keeps its newest traces and says what is usual, what is not and why: in the process, without a
 * server. The same spans may be delivered to back ends.
 *
 * After `start()` no tracing call throws into user code; before it and after `stop()` spans record nothing. What such a
 * call cannot use, as an unknown option, is counted in `stats().ignoredInputs` and said in a process warning
 * `MNOPS_INPUT_IGNORED`, once for each field; a span or a metric before `start()` in one `MNOPS_NOT_STARTED`.
 *
 * This class is the surface: spans go through `Pipeline`, questions are answered by `Answers`.
 */
export class PerformanceMonitoringManager implements AsyncDisposable {
  readonly #config: ResolvedConfig;
  readonly #events = eventHub<APMEvents>(apmEvents);
  readonly #lifecycle: Lifecycle;
  /** Where spans go. */
  readonly #pipeline: Pipeline;
  /** What is said about them. */
  readonly #answers: Answers;
  readonly #ingestion: Ingestion;
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
    const { clock, processHooks } = this.#config;
    this.#pipeline = new Pipeline(this.#config, {
      events: this.#events,
      degrade: (reason) => this.#lifecycle.degrade(reason),
      recover: (reason) => this.#lifecycle.recover(reason),
    });
    this.#ingestion = new Ingestion(this.#pipeline);
    this.#answers = new Answers(this.#config, this.#pipeline);
    this.#lifecycle = new Lifecycle({
      name: 'PerformanceMonitoringManager',
      clock,
      start: async (call) => {
        await this.#pipeline.start(call);
        if (processHooks) this.#removeHook = saveAtProcessEnd(this.#pipeline, clock, defaultGraceMs);
      },
      drain: async (call) => await this.#pipeline.drain(call),
      close: async () => {
        this.#removeHook?.();
        await this.#pipeline.close();
      },
    });
    this.metricSource = this.#answers.metricSource;
    this.healthSource = this.#answers.healthSource;
    this.recoverable = this.#answers.recoverable;
  }

  /** `degraded` while an exporter cannot reach its back end. */
  get status(): HostStatus {
    return this.#lifecycle.status;
  }

  /** OpenTelemetry tracer of this program. Its spans record nothing until `start()`. */
  get tracer(): Tracer {
    return this.#pipeline.tracing.tracer;
  }

  /** Plugs into an OpenTelemetry SDK (2.x or 3.x) that runs already: its finished spans are recorded here too. */
  get spanProcessor(): SpanProcessorLike {
    return this.#pipeline.tracing.processor(() => this.flush().then(() => undefined));
  }

  /**
   * Tracing works: OpenTelemetry is loaded, its globals are set unless another SDK has them, exporters are open.
   *
   * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID` for options that cannot be used, as does every method that takes some;
   * `MNOPS_CORE_DEPENDENCY_MISSING` when `@opentelemetry/api` is not installed, `MNOPS_CORE_CLOSED` after a stop, or what
   * an exporter's `open` threw.
   */
  async start(options: CallOptions = {}): Promise<void> {
    checkCallOptions('start', options);
    await this.#lifecycle.start(options);
  }

  /**
   * What is held now is delivered or given up, and what is kept in `folder` is there.
   *
   * @param options - `timeoutMs`: default 30_000.
   * @throws {MnopsError} `MNOPS_CORE_TIMEOUT` when a back end is away for longer; the spans stay held.
   */
  async flush(options: CallOptions = {}): Promise<DeliveryReport> {
    checkCallOptions('flush', options);
    const limits = { timeoutMs: 30_000, ...options, clock: this.#config.clock };
    await traced('mnops:apm:flush', { exporters: this.#config.exporters.length }, async (context) => {
      await this.#pipeline.kept?.flush();
      this.#pipeline.settle();
      await withCall(limits, async (call) => await this.#pipeline.deliveries.flush(call));
      context['held'] = this.#pipeline.deliveries.held;
    });
    return this.#pipeline.deliveries.report;
  }

  /**
   * Tracing has ended: held spans are delivered within `graceMs` (default 5_000), the rest is left in `folder` for the next
   * start, or given up and counted without one; the OpenTelemetry globals are free again. What was kept and learned can still be read.
   */
  async stop(options: StopOptions = {}): Promise<DeliveryReport> {
    checkStopOptions(options);
    await this.#lifecycle.stop({ graceMs: options.graceMs ?? defaultGraceMs });
    return this.#pipeline.deliveries.report;
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
   * @returns What `run` returned; a promise stays a promise. Errors pass through unchanged. Without a function nothing runs,
   * and the span says that it failed.
   */
  trace<T>(name: string, run: (span: OtelSpan) => T): T;
  trace<T>(name: string, options: SpanOptions, run: (span: OtelSpan) => T): T;
  trace<T>(name: string, ...rest: [(span: OtelSpan) => T] | [SpanOptions, (span: OtelSpan) => T]): T {
    const [options, run] = rest.length === 1 ? [undefined, rest[0]] : rest;
    const { span, within } = this.#pipeline.tracing.begin(name, options, run);
    return within(() => runWithin(span, run));
  }

  /**
   * Writes `traceparent`, `tracestate` and `baggage` of the active span, or of a context, into headers of any form. Where
   * they cannot be written, the headers stay as they are; nothing is thrown.
   */
  inject(headers: HeaderTarget, context?: Context): void {
    this.#pipeline.tracing.inject(headers, context);
  }

  /** The context that a request's headers carry, in any form. Invalid headers give an empty one; nothing is thrown. */
  extract(headers: HeaderCarrier): Context {
    return this.#pipeline.tracing.extract(headers) ?? emptyContext();
  }

  /** Runs work with a context active, such as one from `extract`. Returns what the work returned; nothing without a function. */
  withContext<T>(context: Context, run: () => T): T {
    const isOdd = isOddContext(context);
    if (isOdd || typeof run !== 'function') this.#pipeline.input.odd('withContext', contextSchema, { context, run });
    if (typeof run !== 'function') return undefined as T;
    const { runtime } = this.#pipeline.tracing;
    if (runtime === undefined) return run();
    return runtime.withContext(isOdd ? runtime.rootContext : context, run);
  }

  /**
   * Records finished spans of other processes: they join traces, baselines, map and request figures here. They are not
   * delivered to this manager's exporters, which is the business of the process that made them.
   *
   * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID` for what gives no spans; a span that is not valid is counted in the
   * report. `MNOPS_CORE_CLOSED` after a stop.
   */
  async ingest(spans: Iterable<Span> | AsyncIterable<Span>, options: CallOptions = {}): Promise<IngestReport> {
    this.#lifecycle.assertUsable();
    return await this.#ingestion.take(spans, options);
  }

  /**
   * The trace with this id, of all services whose spans are here; `undefined` when it is not, or not any more.
   *
   * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID` for an id that is no text.
   */
  async getTrace(traceId: string, options: CallOptions = {}): Promise<Trace | undefined> {
    return await this.#answers.getTrace(traceId, options);
  }

  /**
   * Traces that match, newest first: those in memory, then those in `folder`. Of one that left memory before its last span
   * came, this gives the part that matched; `getTrace` joins all parts.
   *
   * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID` for a condition that it does not know; so do the queries below.
   */
  findTraces(query: TraceQuery = {}, options: CallOptions = {}): AsyncIterable<Trace> {
    return this.#answers.findTraces(query, options);
  }

  /** What is usual for each operation that matches, most calls first. Empty when analysis is off. */
  baselines(filter: OperationFilter = {}): PerformanceBaseline[] {
    return this.#answers.baselines(filter);
  }

  /** Open and recent anomalies that match, newest first. */
  detectAnomalies(query: AnomalyQuery = {}): PerformanceAnomaly[] {
    return this.#answers.anomalies(query);
  }

  /**
   * What an operation will do in the next time, by what it did in the weeks before. Act on it only while `usable`.
   *
   * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID` for a query that cannot be read.
   */
  forecast(query: ForecastQuery): Forecast {
    return this.#answers.forecast(query);
  }

  /** Who calls whom: since the start, or, with a window, by the traces kept of that time. */
  serviceMap(window?: TimeWindow): ServiceMap {
    return this.#answers.serviceMap(window);
  }

  /**
   * Takes one value of a metric: it gets baselines (kind `metric`) and anomalies (signal `metric`), and `metricSource`
   * answers about it. What cannot be used is counted in `stats().metrics`; nothing is thrown.
   */
  recordMetric(metric: Metric): void {
    this.#pipeline.input.early('recordMetric');
    this.#pipeline.metrics.record(metric);
  }

  /**
   * Baselines and map of this process, and of the others whose snapshots were merged, for `JSON.stringify`.
   *
   * @throws {MnopsError} `MNOPS_CORE_UNSUPPORTED` when the analysis is off.
   */
  exportSnapshot(): APMSnapshot {
    this.#pipeline.settle();
    return this.#pipeline.shared.export();
  }

  /**
   * Baselines and map count the processes of the snapshot in from now on. The newest state of a process replaces the one
   * before, so order and repetition do not matter.
   *
   * @throws {MnopsError} `MNOPS_APM_SNAPSHOT_INVALID` with the field that is wrong, `MNOPS_APM_SKETCH_MISMATCH` for
   * sketches of another resolution, `MNOPS_CORE_UNSUPPORTED` when the analysis is off. Nothing is taken then.
   */
  mergeSnapshot(snapshot: APMSnapshot): void {
    this.#pipeline.shared.merge(snapshot);
  }

  /**
   * Ranks the services by how much of a change began in them, from the traces kept of before and after, and from
   * the metrics and lines of the query. The verdict is `none` when nothing changed beyond chance, or when there is too
   * little on either side. Sources have `timeoutMs` (default 10_000); what they do not answer stands in `notes`.
   *
   * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID` for a query that cannot be read.
   */
  async findRootCause(query: RootCauseQuery, options: CallOptions = {}): Promise<RootCauseReport> {
    return await this.#answers.findRootCause(query, options);
  }

  /** State of this manager itself: running or not, and which exporter is away. */
  async health(): Promise<HealthReport> {
    const { status, reasons } = this.#lifecycle;
    const healthy = status === 'ready' ? 'healthy' : 'unhealthy';
    const state = status === 'idle' ? 'idle: start() was not called' : status;
    return {
      status: status === 'degraded' ? 'degraded' : healthy,
      reasons: status === 'ready' || status === 'degraded' ? reasons : [`The manager is ${state}.`, ...reasons],
      atMs: this.#config.clock.now(),
    };
  }

  /** Every counter: where spans are, what was dropped and why, how full each table is. */
  stats(): APMStats {
    return this.#answers.stats(this.#ingestion.counts);
  }
}
