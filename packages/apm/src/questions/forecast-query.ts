import { parseOptions } from '@mnops/core/config';
import type { SpanKindName } from '@mnops/core/spi';
import * as v from 'valibot';
import type { AnomalySignal } from '../analysis/anomaly.js';
import { type ForecastDoubt, type ForecastPoint, forecastSeries } from '../analysis/forecast/forecast-series.js';
import type { ForecastSource } from '../analysis/forecast/forecast-source.js';
import type { LoadedOperation } from '../analysis/forecast/load-history.js';
import { spanKinds } from '../span-kinds.js';
import { extentNotes } from './forecast-notes.js';
import { lengthMsSchema } from './metric-question.js';

/** What of an operation can be forecast. */
export type ForecastSignal = Exclude<AnomalySignal, 'metric'>;

/** What is to be forecast, and how far. */
export interface ForecastQuery {
  readonly operation: string;
  readonly service?: string | undefined;
  readonly kind?: SpanKindName | undefined;
  /** `throughput`: spans per second; `duration`: mean milliseconds; `errors`: share of failed spans. */
  readonly signal: ForecastSignal;
  /** How far ahead; rounded up to whole steps. What is beyond one season is cut off, which `notes` tell. */
  readonly horizonMs: number;
  /** Share of values that should fall between `low` and `high`. Default 0.9. */
  readonly coverage?: number | undefined;
}

/** What an operation will do. */
export interface Forecast {
  readonly operation: string;
  readonly service?: string | undefined;
  readonly signal: ForecastSignal;
  /**
   * Whether it may be acted on: two seasons were seen, and it was better of late than repeating the last season. Where
   * it is false, go by what is measured now.
   */
  readonly usable: boolean;
  /** Why it is not usable. `unknown-operation`: nobody has seen it; `too-short`: `notes` say how much is known and wanted. */
  readonly reason?: ForecastDoubt | 'unknown-operation' | undefined;
  readonly method: 'holt-winters' | 'seasonal-naive';
  readonly stepMs: number;
  readonly seasonMs: number;
  /** Mean error of the newest third of the forecasts tried on the past, over that of repeating the last season. */
  readonly relativeError?: number | undefined;
  /** One per step; `at` is its start. Empty while there are fewer than two seasons. */
  readonly points: readonly (ForecastPoint & { readonly at: Date })[];
  /** How much history is missing, and what of the horizon was cut off; empty when neither is so. */
  readonly notes: readonly string[];
}

const querySchema = v.strictObject({
  operation: v.string(),
  service: v.optional(v.string()),
  kind: v.optional(v.picklist(spanKinds)),
  signal: v.picklist(['throughput', 'duration', 'errors']),
  horizonMs: lengthMsSchema,
  coverage: v.optional(v.pipe(v.number(), v.minValue(0.5), v.maxValue(0.99))),
});

/**
 * Forecasts one signal of one operation.
 *
 * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID` for a query that cannot be read.
 */
export function forecastOperation(source: ForecastSource | undefined, input: ForecastQuery): Forecast {
  const query = parseOptions('forecast', querySchema, input);
  const { operation: name, service, kind, signal } = query;
  const matches = (one: LoadedOperation): boolean =>
    one.name === name &&
    (service === undefined || one.service === service) &&
    (kind === undefined || one.kind === kind);
  const found =
    source?.operations.filter(matches).toSorted((a, b) => b.baseline.count - a.baseline.count)[0] ??
    // Known of an earlier process only.
    [...(source?.history.operations() ?? [])].find(matches);
  const series = found && source?.history.series(found, signal, source.untilMs);
  const { seasonMs = 0, stepMs = 0 } = source ?? {};
  const asked = { operation: name, service: found?.service ?? service, signal, seasonMs };
  const notesOf = (values: readonly number[], step: number, reason: Forecast['reason']): string[] =>
    extentNotes({ values, stepMs: step, seasonMs, horizonMs: query.horizonMs, reason });
  if (series === undefined) {
    // It is known from its first span on, and the first step of it is complete only later.
    const reason = found === undefined ? 'unknown-operation' : 'too-short';
    const notes = found === undefined ? [] : notesOf([], stepMs, reason);
    return { ...asked, stepMs, usable: false, reason, method: 'seasonal-naive', points: [], notes };
  }
  const season = Math.max(2, Math.round(seasonMs / series.stepMs));
  const horizon = Math.min(season, Math.ceil(query.horizonMs / series.stepMs));
  const {
    points,
    season: _,
    ...rest
  } = forecastSeries(series.values, {
    horizon,
    season,
    minimum: 0,
    coverage: query.coverage,
  });
  const at = (index: number): Date => new Date(series.endMs + index * series.stepMs);
  return {
    ...asked,
    ...rest,
    stepMs: series.stepMs,
    points: points.map((point, index) => ({ at: at(index), ...point })),
    notes: notesOf(series.values, series.stepMs, rest.reason),
  };
}
