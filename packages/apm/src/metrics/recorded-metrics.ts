import { type AnalysisEngine, maxMetrics } from '../analysis/analysis-engine.js';
import { other } from '../analysis/edge-table.js';
import { LatencySketch } from '../analysis/latency-sketch.js';
import type { OperationTable } from '../analysis/operation-table.js';
import type { ResolvedConfig } from '../config.js';
import { isMetric, labelsOf, type MetricKind, type MetricStats } from './metric.js';
import { isOddMetric } from './metric-input.js';

/** One series: a metric with one set of labels. */
export interface MetricSeries {
  readonly name: string;
  readonly kind: MetricKind;
  readonly labels: Readonly<Record<string, string>>;
  readonly unit: string | undefined;
  /** Name and labels as one text. */
  readonly title: string;
}

/** What one series was in one slot of time. */
export interface MetricCell {
  count: number;
  sum: number;
  min: number;
  max: number;
  last: number;
  lastMs: number;
  /** Only of histograms. */
  readonly sketch: LatencySketch | undefined;
}

/** Limits of the recorded metrics. */
export interface RecordedMetricsOptions {
  readonly service: string;
  readonly slotMs: number;
  readonly retainMs: number;
  readonly maxSeries: number;
  readonly now: () => number;
  /** Where baselines of metrics are learned; absent when the analysis is off. */
  readonly table: OperationTable | undefined;
  /** Told of each metric that was not used, or not whole. */
  readonly odd: (metric: unknown) => void;
}

const maxCells = 200_000;

/** The metrics that a program records, by series and slot of time; bounded. */
export class RecordedMetrics {
  readonly #options: RecordedMetricsOptions;
  readonly #series = new Map<string, MetricSeries>();
  readonly #slots = new Map<number, Map<MetricSeries, MetricCell>>();
  #cells = 0;
  #newest = 0;
  #recorded = 0;
  #rejected = 0;
  #overflowed = 0;
  #cutLabels = 0;

  constructor(options: RecordedMetricsOptions) {
    this.#options = options;
  }

  get stats(): MetricStats {
    return {
      recorded: this.#recorded,
      rejected: this.#rejected,
      series: this.#series.size,
      overflowed: this.#overflowed,
      cutLabels: this.#cutLabels,
    };
  }

  /** Takes one value. What cannot be used is counted; nothing is thrown. */
  record(metric: unknown): void {
    try {
      if (!isMetric(metric)) {
        this.#rejected += 1;
        this.#options.odd(metric);
        return;
      }
      const { name, kind, value, unit, attributes, at } = metric;
      // Asked first: what throws at that look is rejected, and not counted as recorded too.
      const isOdd = isOddMetric(metric);
      const cutBefore = this.#cutLabels;
      const series = this.#seriesOf(name, kind, attributes, typeof unit === 'string' ? unit.slice(0, 64) : undefined);
      this.#recorded += 1;
      if (this.#cutLabels !== cutBefore || isOdd) this.#options.odd(metric);
      const atMs = at?.getTime() ?? this.#options.now();
      this.#count(series, value, atMs);
      const { table, service } = this.#options;
      if (table === undefined) return;
      const about = { traceId: '', parentSpanId: undefined, origin: { service }, operation: series.title };
      const operation = table.observe({ ...about, kind: 'metric', endMs: atMs, durationMs: value, error: false });
      operation.metric ??= kind;
      operation.labels ??= series.labels;
    } catch {
      // A getter of a hostile object.
      this.#rejected += 1;
      this.#options.odd(metric);
    }
  }

  /** Everything recorded in a window that ends at an instant, to the resolution of a slot. */
  *within(metric: string, atMs: number, windowMs: number): Iterable<readonly [MetricSeries, MetricCell]> {
    const { slotMs } = this.#options;
    const first = Math.round((atMs - windowMs) / slotMs);
    const last = Math.floor(atMs / slotMs);
    for (const [index, cells] of this.#slots) {
      if (index < first || index > last) continue;
      for (const entry of cells) if (entry[0].name === metric) yield entry;
    }
  }

  #seriesOf(name: string, kind: MetricKind, attributes: unknown, unit: string | undefined): MetricSeries {
    const { labels, cut } = labelsOf(attributes);
    this.#cutLabels += cut;
    const pairs = Object.entries(labels);
    const title =
      pairs.length === 0 ? name : `${name}{${pairs.map(([key, text]) => `${key}=${JSON.stringify(text)}`).join(',')}}`;
    const key = `${kind}\0${title}`;
    const known = this.#series.get(key);
    if (known !== undefined) return known;
    if (this.#series.size < this.#options.maxSeries) {
      const series = { name, kind, labels, unit, title };
      this.#series.set(key, series);
      return series;
    }
    this.#overflowed += 1;
    const otherKey = `${kind}\0${other}`;
    const rest = this.#series.get(otherKey) ?? { name: other, kind, labels: {}, unit: undefined, title: other };
    this.#series.set(otherKey, rest);
    return rest;
  }

  #count(series: MetricSeries, value: number, atMs: number): void {
    const cells = this.#slotAt(Math.floor(atMs / this.#options.slotMs));
    if (cells === undefined) return;
    let cell = cells.get(series);
    if (cell === undefined) {
      if (this.#cells >= maxCells) return;
      const sketch = series.kind === 'histogram' ? new LatencySketch() : undefined;
      cell = { count: 0, sum: 0, min: value, max: value, last: value, lastMs: atMs, sketch };
      cells.set(series, cell);
      this.#cells += 1;
    }
    cell.count += 1;
    cell.sum += value;
    cell.min = Math.min(cell.min, value);
    cell.max = Math.max(cell.max, value);
    cell.sketch?.add(value);
    if (atMs < cell.lastMs) return;
    cell.last = value;
    cell.lastMs = atMs;
  }

  #slotAt(index: number): Map<MetricSeries, MetricCell> | undefined {
    const known = this.#slots.get(index);
    if (known !== undefined) return known;
    const { retainMs, slotMs, now } = this.#options;
    // A time in the future must not push out what is known of now.
    const newest = Math.min(Math.max(this.#newest, index), Math.floor(now() / slotMs) + 1);
    const oldest = newest - Math.ceil(retainMs / slotMs);
    if (index < oldest || index > newest) return undefined;
    this.#newest = newest;
    const cells = new Map<MetricSeries, MetricCell>();
    this.#slots.set(index, cells);
    for (const [at, { size }] of this.#slots) {
      if (at >= oldest) continue;
      this.#slots.delete(at);
      this.#cells -= size;
    }
    return cells;
  }
}

/** The recorded metrics of a manager. */
export function recordedMetrics(
  config: ResolvedConfig,
  engine: AnalysisEngine | undefined,
  odd: RecordedMetricsOptions['odd'],
): RecordedMetrics {
  const { clock, service, analysis } = config;
  return new RecordedMetrics({
    service: service.name,
    slotMs: Math.min(analysis?.bucketMs ?? 5_000, 5_000),
    retainMs: analysis?.retainMs ?? 900_000,
    maxSeries: maxMetrics,
    now: () => clock.now(),
    table: engine?.metrics,
    odd,
  });
}
