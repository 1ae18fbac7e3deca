import { monitoringError } from '../errors.js';
import { contentTypes, negotiateFormat } from '../exposition/negotiation.js';
import { writeExposition } from '../exposition/writer.js';
import { Collectors } from './collectors.js';
import { defineMetric, sameDefinition } from './definition.js';
import { Family, type FamilyDefinition, type FamilyObserver } from './family.js';
import { labelText } from './label-text.js';
import { CounterMetric, GaugeMetric, HistogramMetric } from './metrics.js';
import { CounterSeries, GaugeSeries, HistogramSeries, type RejectReason } from './series.js';
import type {
  Counter,
  Gauge,
  Histogram,
  HistogramOptions,
  MetricDescription,
  MetricOptions,
  MetricType,
} from './types.js';

/** How a registry behaves. */
export interface RegistryOptions {
  /** Labels on every series, such as `{ region: 'eu' }`. Default none. */
  readonly constLabels?: Readonly<Record<string, string>> | undefined;
  /** `totalBytes`: estimate of what all series may hold in memory. Default 32 MiB; beyond it new label sets overflow. */
  readonly limits?: { readonly totalBytes?: number | undefined } | undefined;
  /** Whether a bad value or label set is counted in `mnops_metrics_rejected_total` or thrown. Default `count`. */
  readonly onMisuse?: 'count' | 'throw' | undefined;
}

/** How a scrape is answered. */
export interface ExposeOptions {
  /** The request's Accept header. Default: text 0.0.4. */
  readonly accept?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds for the collectors; those that are late are left out and counted. Default 10_000. */
  readonly timeoutMs?: number | undefined;
}

type AnyFamily = Family<CounterSeries> | Family<GaugeSeries> | Family<HistogramSeries>;

/** The registry's own counters: they are not bounded by themselves. */
const ownMetrics: ReadonlySet<string> = new Set([
  'mnops_metrics_rejected_total',
  'mnops_metrics_overflow_total',
  'mnops_collector_errors_total',
]);
const silentObserver: FamilyObserver = {
  rejected: () => undefined,
  overflowed: () => undefined,
  full: () => false,
  reserve: () => undefined,
  released: () => undefined,
};

/** Recognises a registry of any copy of this package. */
const brand = Symbol.for('mnops.metric-registry');

/**
 * Holds metrics and writes them for a scraper.
 *
 * There is no global registry: pass one to the code that records. Labels never collide, counters never fall or become
 * NaN, and the number of series is bounded.
 */
export class MetricRegistry {
  readonly #families = new Map<string, { family: AnyFamily; metric: unknown }>();
  readonly #collectors: Collectors;
  readonly #constText: string;
  readonly #onMisuse: 'count' | 'throw';
  readonly #totalBytes: number;
  #usedBytes = 0;
  readonly #observer: FamilyObserver;
  /** Labels on every series. */
  readonly constLabels: Readonly<Record<string, string>>;

  constructor(options: RegistryOptions = {}) {
    this.constLabels = Object.freeze({ ...options.constLabels });
    const names = Object.keys(this.constLabels);
    defineMetric('gauge', { name: 'const_labels', help: 'Checks the names.', labels: names });
    this.#constText = labelText(names, Object.values(this.constLabels));
    this.#onMisuse = options.onMisuse ?? 'count';
    this.#totalBytes = options.limits?.totalBytes ?? 32 * 1_024 * 1_024;
    this.#observer = {
      rejected: (metric, reason) => this.#rejected(metric, reason),
      overflowed: (metric, label) => this.#overflows().inc({ metric, label }),
      full: () => this.#usedBytes >= this.#totalBytes,
      reserve: (bytes) => {
        this.#usedBytes += bytes;
      },
      released: (bytes) => {
        this.#usedBytes -= bytes;
      },
    };
    this.#collectors = new Collectors((collector) => this.#collectorErrors().inc({ collector }));
    Object.defineProperty(this, brand, { value: true });
  }

  /** Whether a value is a registry, of whichever copy of this package. */
  static is(value: unknown): value is MetricRegistry {
    return typeof value === 'object' && value !== null && (value as Record<symbol, unknown>)[brand] === true;
  }

  /**
   * A counter; the existing one when it was declared the same way before.
   *
   * @throws {MnopsError} `MNOPS_MONITORING_METRIC_INVALID`, `MNOPS_MONITORING_METRIC_CONFLICT`.
   */
  counter<const L extends readonly string[] = []>(options: MetricOptions<L>): Counter<L[number]> {
    return this.#declare('counter', options, (definition) => {
      const observer = ownMetrics.has(definition.name) ? silentObserver : this.#observer;
      const family = new Family<CounterSeries>(
        definition,
        observer,
        (owner, values, text) => new CounterSeries(owner, values, text),
      );
      return { family, metric: new CounterMetric(family) };
    });
  }

  /** A gauge; the existing one when it was declared the same way before. Throws like `counter`. */
  gauge<const L extends readonly string[] = []>(options: MetricOptions<L>): Gauge<L[number]> {
    return this.#declare('gauge', options, (definition) => {
      const family = new Family<GaugeSeries>(
        definition,
        this.#observer,
        (owner, values, text) => new GaugeSeries(owner, values, text),
      );
      return { family, metric: new GaugeMetric(family) };
    });
  }

  /** A histogram; the existing one when it was declared the same way before. Throws like `counter`. */
  histogram<const L extends readonly string[] = []>(options: HistogramOptions<L>): Histogram<L[number]> {
    return this.#declare('histogram', options, (definition) => {
      const bounds = definition.bounds as Float64Array;
      const family = new Family<HistogramSeries>(
        definition,
        this.#observer,
        (owner, values, text) => new HistogramSeries(owner, values, text, bounds),
      );
      return { family, metric: new HistogramMetric(family) };
    });
  }

  /** Runs `read` before each scrape, so that it can set gauges. One that fails or is late loses only its own figures. */
  collect(name: string, read: (call: { readonly signal: AbortSignal }) => void | Promise<void>): { remove(): void } {
    return this.#collectors.add(name, read);
  }

  /** Removes a metric with all its series; false when there is none of that name. */
  remove(name: string): boolean {
    return this.#families.delete(name);
  }

  /** What is declared, in order of declaration. */
  describe(): readonly MetricDescription[] {
    return [...this.#families.values()].map(({ family }) => {
      const { name, type, help, unit, labels } = family.definition;
      return { name, type, help, unit, labels, series: family.series.size };
    });
  }

  /** The answer to a scrape: its content type, and its text as a stream of chunks. */
  expose(options: ExposeOptions = {}): { readonly contentType: string; readonly body: AsyncIterable<Uint8Array> } {
    const format = negotiateFormat(options.accept);
    const collectors = this.#collectors;
    const families = this.#families;
    const constText = this.#constText;
    async function* body(): AsyncGenerator<Uint8Array> {
      await collectors.run(options.timeoutMs ?? 10_000);
      const all = [...families.values()].map(({ family }) => family);
      yield* writeExposition(all, { format, constText, signal: options.signal });
    }
    return { contentType: contentTypes[format], body: body() };
  }

  /** The whole answer to a scrape as text. */
  async text(options: ExposeOptions = {}): Promise<string> {
    const chunks: Uint8Array[] = [];
    for await (const chunk of this.expose(options).body) chunks.push(chunk);
    return Buffer.concat(chunks).toString('utf8');
  }

  /** The living families, for the sampler of this package. */
  families(): readonly AnyFamily[] {
    return [...this.#families.values()].map(({ family }) => family);
  }

  #declare<M>(
    type: MetricType,
    options: MetricOptions | HistogramOptions,
    make: (definition: FamilyDefinition) => { family: AnyFamily; metric: M },
  ): M {
    const definition = defineMetric(type, options);
    for (const label of definition.labels) {
      if (label in this.constLabels) {
        throw monitoringError(
          'MNOPS_MONITORING_METRIC_INVALID',
          `Metric ${definition.name}: \`labels.${label}\` is a constant label of the registry already.`,
          { details: { field: `labels.${label}`, metric: definition.name } },
        );
      }
    }
    const existing = this.#families.get(definition.name);
    if (existing !== undefined) {
      if (sameDefinition(existing.family.definition, definition)) return existing.metric as M;
      throw monitoringError(
        'MNOPS_MONITORING_METRIC_CONFLICT',
        `Metric ${definition.name} exists as ${describeShape(existing.family.definition)}, not as ${describeShape(definition)}.`,
        { details: { metric: definition.name } },
      );
    }
    this.#refuseSampleNameClash(definition);
    const made = make(definition);
    this.#families.set(definition.name, made);
    return made.metric;
  }

  /** A histogram `a` writes samples named `a_sum`, so no other metric may have that name. */
  #refuseSampleNameClash(definition: FamilyDefinition): void {
    const base = definition.name.replace(/_(bucket|sum|count)$/, '');
    const clash =
      definition.type === 'histogram'
        ? ['_bucket', '_sum', '_count']
            .map((suffix) => definition.name + suffix)
            .find((name) => this.#families.has(name))
        : base !== definition.name && this.#families.get(base)?.family.definition.type === 'histogram'
          ? base
          : undefined;
    if (clash === undefined) return;
    throw monitoringError(
      'MNOPS_MONITORING_METRIC_CONFLICT',
      `Metric ${definition.name} would write samples of the same name as metric ${clash}.`,
      { details: { metric: definition.name, other: clash } },
    );
  }

  #rejected(metric: string, reason: RejectReason): void {
    if (this.#onMisuse === 'throw') {
      throw monitoringError('MNOPS_MONITORING_VALUE_INVALID', `Metric ${metric} refused a write: ${reason}.`, {
        details: { metric, reason },
      });
    }
    this.counter({
      name: 'mnops_metrics_rejected_total',
      help: 'Writes that a metric did not take.',
      labels: ['metric', 'reason'],
    }).inc({ metric, reason });
  }

  #overflows(): Counter<'metric' | 'label'> {
    return this.counter({
      name: 'mnops_metrics_overflow_total',
      help: 'Writes whose label value was replaced because a limit was reached.',
      labels: ['metric', 'label'],
    });
  }

  #collectorErrors(): Counter<'collector'> {
    return this.counter({
      name: 'mnops_collector_errors_total',
      help: 'Collectors that failed or were late.',
      labels: ['collector'],
    });
  }
}

function describeShape(definition: FamilyDefinition): string {
  const buckets = definition.bounds === undefined ? '' : ` and ${definition.bounds.length} buckets`;
  return `a ${definition.type} with labels [${definition.labels.join(', ')}]${buckets}`;
}
