import type { Family } from './family.js';
import type { CounterSeries, GaugeSeries, HistogramSeries } from './series.js';
import type { Counter, Gauge, Histogram, Labels } from './types.js';

type AnyLabels = Labels<string>;
const nothing = { inc: () => undefined, dec: () => undefined, set: () => undefined, observe: () => undefined };

/** The face of a counter's family. */
export class CounterMetric implements Counter<string> {
  readonly #family: Family<CounterSeries>;

  constructor(family: Family<CounterSeries>) {
    this.#family = family;
  }

  inc(first?: AnyLabels | number, value?: number): void {
    if (typeof first === 'object' && first !== null) this.#family.find(first)?.inc(value);
    else this.#family.unlabelled().inc(first);
  }

  with(labels: AnyLabels): CounterSeries {
    return this.#family.find(labels) ?? (nothing as unknown as CounterSeries);
  }

  remove(labels: AnyLabels): boolean {
    return this.#family.remove(labels);
  }
}

/** The face of a gauge's family. */
export class GaugeMetric implements Gauge<string> {
  readonly #family: Family<GaugeSeries>;

  constructor(family: Family<GaugeSeries>) {
    this.#family = family;
  }

  inc(first?: AnyLabels | number, value?: number): void {
    if (typeof first === 'object' && first !== null) this.#family.find(first)?.inc(value);
    else this.#family.unlabelled().inc(first);
  }

  dec(first?: AnyLabels | number, value?: number): void {
    if (typeof first === 'object' && first !== null) this.#family.find(first)?.dec(value);
    else this.#family.unlabelled().dec(first);
  }

  set(first: AnyLabels | number, value?: number): void {
    if (typeof first === 'object' && first !== null) this.#family.find(first)?.set(value as number);
    else this.#family.unlabelled().set(first);
  }

  with(labels: AnyLabels): GaugeSeries {
    return this.#family.find(labels) ?? (nothing as unknown as GaugeSeries);
  }

  remove(labels: AnyLabels): boolean {
    return this.#family.remove(labels);
  }
}

/** The face of a histogram's family. */
export class HistogramMetric implements Histogram<string> {
  readonly #family: Family<HistogramSeries>;

  constructor(family: Family<HistogramSeries>) {
    this.#family = family;
  }

  observe(first: AnyLabels | number, value?: number): void {
    if (typeof first === 'object' && first !== null) this.#family.find(first)?.observe(value as number);
    else this.#family.unlabelled().observe(first);
  }

  startTimer(labels?: AnyLabels): () => number {
    const startedAt = process.hrtime.bigint();
    return () => {
      const seconds = Number(process.hrtime.bigint() - startedAt) / 1e9;
      if (labels === undefined) this.observe(seconds);
      else this.observe(labels, seconds);
      return seconds;
    };
  }

  with(labels: AnyLabels): HistogramSeries {
    return this.#family.find(labels) ?? (nothing as unknown as HistogramSeries);
  }

  remove(labels: AnyLabels): boolean {
    return this.#family.remove(labels);
  }
}
