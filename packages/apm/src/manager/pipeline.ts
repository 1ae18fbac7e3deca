import { codeOf, toldMessage } from '@mnops/core';
import type { EventHub } from '@mnops/core/lifecycle';
import type { Call, Span } from '@mnops/core/spi';
import { AnalysisEngine } from '../analysis/analysis-engine.js';
import type { PerformanceAnomaly } from '../analysis/anomaly.js';
import type { ResolvedConfig } from '../config.js';
import { Deliveries } from '../delivery/deliveries.js';
import { openKeptFolder } from '../disk/keep-traces.js';
import type { KeptFolder } from '../disk/kept-folder.js';
import type { APMEvents } from '../events.js';
import { metricSchema } from '../metrics/metric-input.js';
import { type RecordedMetrics, recordedMetrics } from '../metrics/recorded-metrics.js';
import { Sampling } from '../sampling/sampling.js';
import { watchedSampling } from '../sampling/watched-sampling.js';
import { type SharedFigures, sharedFigures } from '../snapshot/shared-figures.js';
import { type HeldTrace, TraceRing } from '../store/trace-ring.js';
import { RecordedSpan } from '../tracing/recorded-span.js';
import { Tracing } from '../tracing/tracing.js';
import { AnomalyNotices } from './anomaly-notices.js';
import { InputWarnings } from './input-warnings.js';

/** Whom the pipeline tells what happens to it. */
export interface PipelineHost {
  readonly events: EventHub<APMEvents>;
  readonly degrade: (reason: string) => void;
  readonly recover: (reason: string) => void;
}

/**
 * The way of a span, and the parts along it: tracing ends it, the analysis counts it, sampling decides on it; what is kept
 * goes to the ring, to the exporters and to the folder.
 */
export class Pipeline {
  readonly tracing: Tracing;
  /** `undefined` when the analysis is off. */
  readonly analysis: AnalysisEngine | undefined;
  readonly sampling: Sampling;
  readonly ring: TraceRing;
  readonly deliveries: Deliveries;
  readonly shared: SharedFigures;
  readonly metrics: RecordedMetrics;
  readonly notices: AnomalyNotices;
  readonly input: InputWarnings = new InputWarnings();
  readonly #config: ResolvedConfig;
  readonly #host: PipelineHost;
  #kept: KeptFolder | undefined;
  #timer: { cancel(): void } | undefined;

  constructor(config: ResolvedConfig, host: PipelineHost) {
    this.#config = config;
    this.#host = host;
    const { store, analysis, clock, notifiers, secrets, folder } = config;
    const evicting = folder === undefined ? undefined : (trace: HeldTrace) => this.#kept?.traces.evicting(trace);
    this.ring = new TraceRing({ ...store, evicting });
    this.notices = new AnomalyNotices(notifiers, clock, secrets, (notifier, cause) => {
      const code = codeOf(cause);
      const about = code === undefined ? { notifier } : { notifier, code };
      host.events.emit('notification:failed', { ...about, message: toldMessage(cause), cause });
      if (host.events.count('notification:failed') === 0) this.input.failed(`The notifier ${notifier}`, cause);
    });
    this.analysis =
      analysis === undefined
        ? undefined
        : new AnalysisEngine(analysis, {
            opened: (anomaly) => this.#announce('anomaly:opened', anomaly),
            closed: (anomaly) => this.#announce('anomaly:closed', anomaly),
          });
    this.shared = sharedFigures(config, this.analysis);
    this.metrics = recordedMetrics(config, this.analysis, (metric) =>
      this.input.odd('recordMetric', metricSchema, metric),
    );
    this.deliveries = new Deliveries(config, {
      emit: (event, value) => {
        host.events.emit(event, value);
        if (event === 'exporter:down' && host.events.count(event) === 0) {
          const { exporter, cause } = value as APMEvents['exporter:down'];
          this.input.failed(`The exporter ${exporter}`, cause);
        }
      },
      degrade: host.degrade,
      recover: host.recover,
      quietly: (run) => (this.tracing.runtime === undefined ? run() : this.tracing.runtime.quietly(run)),
      rated: (rates) => this.sampling.heed(rates),
    });
    const watched = {
      ...config,
      sampling: watchedSampling(config.sampling, (error) => this.input.failed('The sampler', error)),
    };
    this.sampling = new Sampling(watched, (span, resource, endMs, durationMs) => {
      const recorded = this.deliveries.any ? new RecordedSpan(span, resource) : undefined;
      this.ring.addEnded(span, resource, endMs - durationMs, endMs);
      if (recorded !== undefined) this.deliveries.add(recorded);
      this.#kept?.traces.seen(span.spanContext().traceId, clock.monotonic());
    });
    this.tracing = new Tracing(config, this.sampling, this.input, (span, resource, endMs, durationMs, nowMs) => {
      this.analysis?.observeEnded(span, resource, endMs, durationMs, nowMs, this.sampling.countOf(span));
      this.sampling.take(span, resource, endMs, durationMs, nowMs);
    });
  }

  /** The folder, once it is open; `undefined` without one. */
  get kept(): KeptFolder | undefined {
    return this.#kept;
  }

  /** Every span that has ended goes its way now. Whoever reads figures or traces calls this before. */
  settle(): void {
    this.tracing.settle();
  }

  /** Takes a valid span of another process. @returns False when it is here already. */
  takeForeign(span: Span, startMs: number, durationMs: number): boolean {
    // A span of our own may come back from another process.
    this.settle();
    if (!this.ring.add(span, startMs, startMs + durationMs)) return false;
    const nowMs = this.#config.clock.monotonic();
    this.#kept?.traces.seen(span.traceId, nowMs);
    this.analysis?.observe(span, startMs + durationMs, durationMs, nowMs);
    return true;
  }

  async start(call: Call): Promise<void> {
    const { events, degrade, recover } = this.#host;
    this.#kept ??= await openKeptFolder(this.#config, this.ring, this.shared, this.analysis?.history, {
      settle: () => this.settle(),
      damaged: (damage) => events.emit('storage:damaged', damage),
      failed: (why) => events.emit('folder:failed', why),
      recovered: (folder) => events.emit('folder:recovered', { folder }),
      degrade,
      recover,
    });
    await this.tracing.start();
    this.input.started();
    await this.deliveries.open(call);
    if (this.analysis !== undefined || this.sampling.waits) this.#schedule();
  }

  /** Decides what waits, and delivers what is held. */
  async drain(call: Pick<Call, 'signal'>): Promise<void> {
    this.settle();
    this.sampling.finish();
    await this.deliveries.flush(call);
  }

  async close(): Promise<void> {
    this.#timer?.cancel();
    this.tracing.stop();
    this.sampling.finish();
    await this.deliveries.close();
    await this.#kept?.close();
    await this.notices.settled();
  }

  /** Judges operations and decides waiting traces now and then. */
  #schedule(): void {
    const { clock, analysis } = this.#config;
    const everyMs = Math.min(analysis?.bucketMs ?? 10_000, 1_000);
    this.#timer = clock.setTimer(everyMs, () => {
      for (const step of [
        () => this.settle(),
        () => this.analysis?.roll(clock.now(), clock.monotonic()),
        () => this.sampling.sweep(),
      ]) {
        try {
          step();
        } catch {
          // A throw in a timer would end the program. What was not done now is done the next time; the other steps go on.
        }
      }
      this.#schedule();
    });
  }

  #announce(event: 'anomaly:opened' | 'anomaly:closed', anomaly: PerformanceAnomaly): void {
    this.#host.events.emit(event, anomaly);
    this.notices.announce(anomaly);
  }
}
