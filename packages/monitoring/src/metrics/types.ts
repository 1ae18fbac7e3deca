/** Label values of one series. `undefined`, absent and the empty text are the same: the label is not there. */
export type Labels<K extends string> = { readonly [P in K]?: string | number | boolean | undefined };

/** Bounds on how many series one metric may have. Beyond them only the offending label's value becomes `__overflow__`. */
export interface SeriesLimits {
  /** Label sets per metric. Default 10_000. */
  readonly seriesPerMetric?: number | undefined;
  /** Distinct values per label. Default 1_000. */
  readonly valuesPerLabel?: number | undefined;
  /** UTF-8 bytes of one label value; longer ones are cut and end in a hash of the whole. Default 1_024. */
  readonly labelValueBytes?: number | undefined;
}

/** Declaration of a metric. */
export interface MetricOptions<L extends readonly string[] = readonly string[]> {
  /** Such as `checkout_orders_total`. Letters, digits, `_` and `:`; a counter ends in `_total`. */
  readonly name: string;
  /** One sentence for people. */
  readonly help: string;
  /** Base unit, such as `seconds`; the name (before `_total`) must end in it. */
  readonly unit?: string | undefined;
  /** Label names, in the order they are written. Default none. */
  readonly labels?: L | undefined;
  readonly limits?: SeriesLimits | undefined;
}

/** Declaration of a histogram. */
export interface HistogramOptions<L extends readonly string[] = readonly string[]> extends MetricOptions<L> {
  /** Upper bounds, inclusive, ascending, finite. Default 5 ms to 10 s, in seconds. */
  readonly buckets?: readonly number[] | undefined;
}

/** Writes one series of a counter. */
export interface CounterHandle {
  /** Adds a finite number that is not negative; default 1. */
  inc(value?: number): void;
}

/** Writes one series of a gauge. */
export interface GaugeHandle {
  inc(value?: number): void;
  dec(value?: number): void;
  set(value: number): void;
}

/** Writes one series of a histogram. */
export interface HistogramHandle {
  /** Records one finite value. */
  observe(value: number): void;
  /** Starts a stopwatch; the returned function records and returns the seconds since. */
  startTimer(): () => number;
}

/** What all kinds of metric can do with their series. */
export interface SeriesFamily<K extends string, H> {
  /** A handle bound to one label set. Take it once and keep it: writing through it costs a few nanoseconds. */
  with(labels: Labels<K>): H;
  /** Removes one series; false when it did not exist. A write through an old handle starts it again from zero. */
  remove(labels: Labels<K>): boolean;
}

/** A value that only grows. */
export interface Counter<K extends string> extends SeriesFamily<K, CounterHandle> {
  inc(value?: number): void;
  inc(labels: Labels<K>, value?: number): void;
}

/** A value that goes up and down. */
export interface Gauge<K extends string> extends SeriesFamily<K, GaugeHandle> {
  inc(value?: number): void;
  inc(labels: Labels<K>, value?: number): void;
  dec(value?: number): void;
  dec(labels: Labels<K>, value?: number): void;
  set(value: number): void;
  set(labels: Labels<K>, value: number): void;
}

/** A distribution over fixed buckets. */
export interface Histogram<K extends string> extends SeriesFamily<K, HistogramHandle> {
  observe(value: number): void;
  observe(labels: Labels<K>, value: number): void;
  startTimer(labels?: Labels<K>): () => number;
}

/** Kind of a metric. */
export type MetricType = 'counter' | 'gauge' | 'histogram';

/** What a registry knows of one metric. */
export interface MetricDescription {
  readonly name: string;
  readonly type: MetricType;
  readonly help: string;
  readonly unit?: string | undefined;
  readonly labels: readonly string[];
  /** Label sets at this moment. */
  readonly series: number;
}
