import { type MnopsError, systemClock, withCall } from '@mnops/core';
import { clockSchema, configError, countSchema, parseOptions } from '@mnops/core/config';
import type { CallOptions, Clock, MetricSource } from '@mnops/core/spi';
import * as v from 'valibot';
import { forecastDefaults } from '../analysis/forecast/forecast-config.js';
import {
  type ForecastDoubt,
  type ForecastPoint,
  forecastSeries,
  type SeriesForecast,
} from '../analysis/forecast/forecast-series.js';
import { callEntries } from '../manager/call-options.js';
import { askOverTime, emptyAnswer, type TimedAnswer } from './ask-over-time.js';
import { extentNotes } from './forecast-notes.js';
import { lengthMsSchema, metricSourceSchema, type OpenQuery, openQuerySchema } from './metric-question.js';
import { reasonOf } from './reason.js';

/** Which metric is to be forecast, and how far. */
export interface MetricForecastQuery {
  /** Who is asked for the past, such as `metricSource` of `@mnops/monitoring`. */
  readonly source: MetricSource;
  /** What it is asked at each step; all groups are one series. */
  readonly query: OpenQuery;
  /** How far ahead; rounded up to whole steps. What is beyond one season is cut off, which `notes` tell. */
  readonly horizonMs: number;
  /** Time between two values; `seasonMs` has at most 2,500 of them. Default 300_000. */
  readonly stepMs?: number | undefined;
  /** After this time the metric repeats. Default 86_400_000, a day. */
  readonly seasonMs?: number | undefined;
  /** Seasons that the source is asked for, 2 to 14. Default 7; fewer where that would be over 5,000 questions. */
  readonly seasons?: number | undefined;
  /** How far a value looks back. Default `stepMs`. */
  readonly windowMs?: number | undefined;
  /** Share of values that should fall between `low` and `high`. Default 0.9. */
  readonly coverage?: number | undefined;
  /** No value can be below. Default: none. */
  readonly minimum?: number | undefined;
}

/** What a metric will be. */
export interface MetricForecast extends Omit<SeriesForecast, 'points' | 'reason' | 'season'> {
  /** Why it is not usable. `no-data`: the source knows nothing of that time. */
  readonly reason?: ForecastDoubt | 'no-data' | undefined;
  readonly stepMs: number;
  readonly seasonMs: number;
  /** One per step; `at` is its start. Empty while there are fewer than two seasons. */
  readonly points: readonly (ForecastPoint & { readonly at: Date })[];
  /** What the source did not answer and why, how much history is missing, and what of the horizon was cut off. */
  readonly notes: readonly string[];
}

const maxQuestions = 5_000;
const defaultSeasons = 7;
const defaultTimeoutMs = 30_000;
const querySchema = v.strictObject({
  source: metricSourceSchema,
  query: openQuerySchema,
  horizonMs: lengthMsSchema,
  stepMs: v.optional(lengthMsSchema),
  seasonMs: v.optional(lengthMsSchema),
  seasons: v.optional(v.pipe(countSchema, v.minValue(2), v.maxValue(14))),
  windowMs: v.optional(lengthMsSchema),
  coverage: v.optional(v.pipe(v.number(), v.minValue(0.5), v.maxValue(0.99))),
  minimum: v.optional(v.pipe(v.number(), v.finite())),
});
const optionsSchema = v.strictObject({ ...callEntries, clock: v.optional(clockSchema) });

/**
 * Forecasts a metric by what a source remembers of it: as `forecast` of a manager does for the operations that it traced
 * itself. Act on it only while `usable`.
 *
 * @param options - `timeoutMs`: for all questions together, default 30_000; what came until then counts. `clock`: default
 * the system's.
 * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID` for a query or options that cannot be read. What the source throws is told in
 * `notes`.
 */
export async function forecastMetric(
  input: MetricForecastQuery,
  options: CallOptions & { readonly clock?: Clock | undefined } = {},
): Promise<MetricForecast> {
  const asked = parseOptions('forecastMetric', querySchema, input);
  const {
    clock = systemClock(),
    signal,
    timeoutMs = defaultTimeoutMs,
  } = parseOptions('forecastMetric', optionsSchema, options);
  const { source, query, stepMs = forecastDefaults.stepMs, seasonMs = forecastDefaults.seasonMs } = asked;
  const season = Math.max(2, Math.round(seasonMs / stepMs));
  if (2 * season > maxQuestions) throw tooFine(seasonMs);
  const seasons = Math.min(asked.seasons ?? defaultSeasons, Math.floor(maxQuestions / season));
  const endMs = Math.floor(clock.now() / stepMs) * stepMs;
  const times = Array.from({ length: season * seasons }, (_, i) => endMs - i * stepMs);
  const question = { source, query, by: [], windowMs: asked.windowMs ?? stepMs, times, stepMs };
  const answer = emptyAnswer();
  const notes: string[] = [];
  try {
    await withCall({ signal, timeoutMs, clock }, async (call) => await askOverTime([{ question, answer }], 1, call));
  } catch (error) {
    signal?.throwIfAborted();
    notes.push(`The past is incomplete: ${reasonOf(error)}.`);
  }
  if (answer.failed > 0) notes.push(`Metric source ${source.id} did not answer at all times: ${answer.reason}.`);
  const values = valuesOf(answer, endMs, stepMs);
  const known = { stepMs, seasonMs, notes };
  if (values.length === 0) return { ...known, usable: false, reason: 'no-data', method: 'seasonal-naive', points: [] };
  const horizon = Math.min(season, Math.ceil(asked.horizonMs / stepMs));
  const { coverage, minimum } = asked;
  const { points, season: _, ...rest } = forecastSeries(values, { horizon, season, coverage, minimum });
  notes.push(...extentNotes({ values, stepMs, seasonMs, horizonMs: asked.horizonMs, reason: rest.reason }));
  return {
    ...known,
    ...rest,
    points: points.map((point, index) => ({ at: new Date(endMs + index * stepMs), ...point })),
  };
}

function tooFine(seasonMs: number): MnopsError {
  const least = Math.ceil((2 * seasonMs) / maxQuestions);
  return configError('forecastMetric', [
    {
      field: 'stepMs',
      expected: `at least ${least}, so that two seasons are at most ${maxQuestions} questions`,
      received: 'less',
      remedy: 'Give a longer `stepMs`, or a shorter `seasonMs`.',
    },
  ]);
}

/** Values from the first one known to the end; `NaN` where none is. */
function valuesOf({ series }: TimedAnswer, endMs: number, stepMs: number): number[] {
  const points = [...series.values()][0]?.points ?? [];
  if (points.length === 0) return [];
  const firstMs = points.reduce((least, { atMs }) => Math.min(least, atMs), Number.POSITIVE_INFINITY);
  const values = new Array<number>(Math.round((endMs - firstMs) / stepMs)).fill(Number.NaN);
  for (const { atMs, value } of points) values[Math.round((atMs - firstMs) / stepMs)] = value;
  return values;
}
