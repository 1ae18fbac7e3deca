import { systemClock, withCall } from '@mnops/core';
import { clockSchema, functionSchema, parseOptions, textSchema } from '@mnops/core/config';
import type { Clock, MetricSource } from '@mnops/core/spi';
import * as v from 'valibot';
import type { Metric } from '../metrics/metric.js';
import { askOverTime, emptyAnswer } from './ask-over-time.js';
import { lengthMsSchema, metricSourceSchema, type OpenQuery, openQuerySchema } from './metric-question.js';
import { reasonOf } from './reason.js';

/** A metric of a source that is to have baselines and anomalies. */
export interface WatchedMetric {
  /** Who is asked, such as `metricSource` of `@mnops/monitoring`. */
  readonly source: MetricSource;
  /** Name that its baselines and anomalies have. */
  readonly name: string;
  readonly query: OpenQuery;
  /** Labels that make series of their own; at most 1,000 of them count. Default: one series. */
  readonly by?: readonly string[] | undefined;
  /** Milliseconds between two questions. Default 10_000. */
  readonly everyMs?: number | undefined;
  /** How far a value looks back. Default `everyMs`. */
  readonly windowMs?: number | undefined;
  /** Called with the error's code, or `an error without a code`, when the source did not answer. Nothing is recorded then. */
  readonly onFailure?: ((code: string) => void) | undefined;
  readonly clock?: Clock | undefined;
}

const maxSeries = 1_000;
const recorderSchema = v.custom<{ recordMetric(metric: Metric): void }>(
  (value) => typeof (value as { readonly recordMetric?: unknown } | null | undefined)?.recordMetric === 'function',
  'a manager with recordMetric',
);
const watchedSchema = v.strictObject({
  source: metricSourceSchema,
  name: textSchema,
  query: openQuerySchema,
  by: v.optional(v.pipe(v.array(textSchema), v.maxLength(16))),
  everyMs: v.optional(lengthMsSchema),
  windowMs: v.optional(lengthMsSchema),
  onFailure: v.optional(functionSchema),
  clock: v.optional(clockSchema),
});

/**
 * Asks a source again and again and records what it answers with `recordMetric`, so that a metric of anybody gets
 * baselines and anomalies. A question that is not answered until the next one is due is given up.
 *
 * @returns Ends the watching.
 * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID` for options that are wrong.
 */
export function watchMetric(apm: { recordMetric(metric: Metric): void }, watched: WatchedMetric): () => void {
  parseOptions('watchMetric', v.object({ apm: recorderSchema }), { apm });
  parseOptions('watchMetric', watchedSchema, watched);
  const { source, name, query, by = [], everyMs = 10_000, windowMs = everyMs, onFailure } = watched;
  const clock = watched.clock ?? systemClock();
  const ending = new AbortController();
  const failed = (code: string): void => {
    try {
      onFailure?.(code);
    } catch {
      // A listener that throws must not end the watching.
    }
  };
  const ask = async (): Promise<void> => {
    const answer = emptyAnswer();
    const atMs = clock.now();
    const question = { source, query, by, windowMs, times: [atMs], stepMs: 0 };
    const limits = { signal: ending.signal, timeoutMs: everyMs, clock };
    await withCall(limits, async (call) => await askOverTime([{ question, answer }], maxSeries, call));
    if (answer.reason !== undefined) failed(answer.reason);
    for (const { labels, points } of answer.series.values()) {
      for (const { value } of points) {
        apm.recordMetric({ name, kind: 'gauge', value, attributes: labels, at: new Date(atMs) });
      }
    }
  };
  let timer = clock.setTimer(everyMs, tick);
  function tick(): void {
    timer = clock.setTimer(everyMs, tick);
    ask().catch((error: unknown) => {
      if (!ending.signal.aborted) failed(reasonOf(error));
    });
  }
  return () => {
    timer.cancel();
    ending.abort();
  };
}
