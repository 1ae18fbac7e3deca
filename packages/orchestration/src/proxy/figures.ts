import type { Clock } from '@mnops/core/spi';
import { WindowRing } from './window-ring.js';

/** Histogram of answered requests, in seconds. */
export const durationMetric = 'http_server_request_duration_seconds';
/** Counter of requests that the proxy could not serve. */
export const failedMetric = 'mnops_proxy_failed_requests_total';

/** Why the proxy failed a request. */
export type ProxyFailure =
  | 'no-instance'
  | 'refused'
  | 'reset'
  | 'timeout'
  | 'invalid-response'
  | 'in-flight-limit'
  | 'hold-limit'
  | 'hold-timeout'
  | 'bad-request';

const bucketCount = 72;
const firstBoundMs = 0.25;
const growth = 2 ** 0.25;
const logGrowth = Math.log(growth);

/** Upper bounds of the buckets in milliseconds: a quarter of a power of two apart, from 0.25 ms to about 55 s, then infinity. */
export const bucketBoundsMs: readonly number[] = Array.from({ length: bucketCount }, (_, index) =>
  index === bucketCount - 1 ? Number.POSITIVE_INFINITY : firstBoundMs * growth ** index,
);

function bucketOf(durationMs: number): number {
  if (durationMs <= firstBoundMs) return 0;
  return Math.min(bucketCount - 1, Math.ceil(Math.log(durationMs / firstBoundMs) / logGrowth - 1e-9));
}

/** One labelled line of figures: counts per bucket and the sum in seconds, over the last 5 minutes and the last hour. */
export class Series {
  readonly metric: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly #fine: WindowRing;
  readonly #coarse: WindowRing;
  lastMs: number;

  constructor(metric: string, labels: Readonly<Record<string, string>>, nowMs: number) {
    this.metric = metric;
    this.labels = labels;
    this.lastMs = nowMs;
    this.#fine = new WindowRing(500, 601, bucketCount + 1);
    this.#coarse = new WindowRing(15_000, 241, bucketCount + 1);
  }

  add(nowMs: number, durationMs: number): void {
    this.lastMs = nowMs;
    const bucket = bucketOf(durationMs);
    const fine = this.#fine.at(nowMs);
    fine[bucket]! += 1;
    fine[bucketCount]! += durationMs / 1_000;
    const coarse = this.#coarse.at(nowMs);
    coarse[bucket]! += 1;
    coarse[bucketCount]! += durationMs / 1_000;
  }

  /** Adds what was observed in a window to `into`: buckets, then the sum. */
  collect(fromMs: number, toMs: number, nowMs: number, into: Float64Array): void {
    const ring = nowMs - fromMs <= this.#fine.spanMs ? this.#fine : this.#coarse;
    ring.collect(fromMs, toMs, into);
  }
}

/** Room for one window of one group: counts per bucket, then the sum. */
export function emptyWindow(): Float64Array {
  return new Float64Array(bucketCount + 1);
}

export function countOf(window: Float64Array): number {
  let count = 0;
  for (let index = 0; index < bucketCount; index += 1) count += window[index]!;
  return count;
}

/** Sum of the observed values, seconds. */
export function sumOf(window: Float64Array): number {
  return window[bucketCount]!;
}

/** Quantile in seconds, interpolated within its bucket; `undefined` without observations. */
export function quantileOf(window: Float64Array, quantile: number): number | undefined {
  const count = countOf(window);
  if (count === 0) return undefined;
  const rank = Math.min(1, Math.max(0, quantile)) * count;
  let seen = 0;
  for (let index = 0; index < bucketCount; index += 1) {
    const here = window[index]!;
    if (here === 0) continue;
    if (seen + here >= rank) {
      const low = index === 0 ? 0 : bucketBoundsMs[index - 1]!;
      const high = index === bucketCount - 1 ? low : bucketBoundsMs[index]!;
      return (low + (high - low) * Math.max(0, (rank - seen) / here)) / 1_000;
    }
    seen += here;
  }
  return undefined;
}

const maxSeries = 5_000;
/** Series without a request for so long are forgotten: no window reaches back to them. */
const forgetMs = 3_900_000;

/** All figures of one proxy; at most 5,000 series, further ones are counted in `dropped`. */
export class Figures {
  readonly clock: Clock;
  readonly #series: Map<string, Series> = new Map();
  dropped = 0;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  /** The series with these labels, made when it is new; `undefined` at the limit. */
  series(metric: string, labels: Readonly<Record<string, string>>): Series | undefined {
    const key = `${metric}\0${Object.values(labels).join('\0')}`;
    let series = this.#series.get(key);
    if (series === undefined) {
      if (this.#series.size >= maxSeries) this.sweep();
      if (this.#series.size >= maxSeries) {
        this.dropped += 1;
        return undefined;
      }
      series = new Series(metric, labels, this.clock.monotonic());
      this.#series.set(key, series);
    }
    return series;
  }

  /** Counts one request that the proxy failed. `revision` is empty where none was chosen. */
  failed(service: string, revision: string, reason: ProxyFailure): void {
    this.series(failedMetric, { service, revision, reason })?.add(this.clock.monotonic(), 0);
  }

  all(): Iterable<Series> {
    return this.#series.values();
  }

  sweep(): void {
    const now = this.clock.monotonic();
    for (const [key, series] of this.#series) if (now - series.lastMs > forgetMs) this.#series.delete(key);
  }
}
