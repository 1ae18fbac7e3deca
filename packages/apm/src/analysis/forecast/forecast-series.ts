import { parseOptions } from '@mnops/core/config';
import * as v from 'valibot';
import { type BackTest, backTest, meanError, type SteppedModel } from './back-test.js';
import { errorRanges, rangeAt } from './error-range.js';
import { HoltWinters, type HoltWintersRates } from './holt-winters.js';
import { findSeason } from './season.js';

/** What is to be forecast. */
export interface ForecastOptions {
  /** Values to forecast; at most 100,000. */
  readonly horizon: number;
  /** Values in one season, such as 288 for a day of 5-minute values. Default: what the series itself shows. */
  readonly season?: number | undefined;
  /** Share of values that should fall between `low` and `high`. Default 0.9. */
  readonly coverage?: number | undefined;
  /** No value can be below, such as 0 for counts. */
  readonly minimum?: number | undefined;
}

/** Why a forecast must not be acted on. */
export type ForecastDoubt = 'no-season' | 'too-short' | 'no-better-than-last-season';

/** What a series will be. */
export interface SeriesForecast {
  /** Whether it may be acted on: two seasons were seen, and it was better of late than repeating the last season. */
  readonly usable: boolean;
  /** Why it is not usable. */
  readonly reason?: ForecastDoubt | undefined;
  readonly method: 'holt-winters' | 'seasonal-naive';
  /** Values in one season; absent when there is none. */
  readonly season?: number | undefined;
  /** Mean error of the newest third of the forecasts tried on the past, over that of repeating the last season. */
  readonly relativeError?: number | undefined;
  /** The next values; empty while there are fewer than two seasons, or no season. */
  readonly points: readonly ForecastPoint[];
}

/** One value to come. */
export interface ForecastPoint {
  readonly value: number;
  readonly low: number;
  readonly high: number;
}

/** Seasons that a forecast looks back on. */
const maxSeasons = 14;

/** Models whose forecasts are averaged: the best few on the past are closer together than to the truth. */
const maxModels = 6;

const candidates: readonly HoltWintersRates[] = [0.002, 0.02, 0.1].flatMap((level) =>
  [undefined, 0.05, 0.2].flatMap((season) => [0, 0.7, 0.95].map((carry) => ({ level, season, carry }))),
);

/** Repeats what was one season before. */
class SeasonalNaive implements SteppedModel {
  readonly #last: Float64Array;
  #place = 0;

  constructor(season: number) {
    this.#last = new Float64Array(season).fill(Number.NaN);
  }

  learn(value: number): void {
    // A value that is not known is as it was a season before.
    if (!Number.isNaN(value)) this.#last[this.#place] = value;
    this.#place = (this.#place + 1) % this.#last.length;
  }

  forecast(steps: number): number {
    const last = this.#last[(this.#place + steps - 1) % this.#last.length] as number;
    if (!Number.isNaN(last)) return last;
    // Never known at this place in the season: the mean of the others is the next best.
    const known = this.#last.filter((value) => !Number.isNaN(value));
    return known.reduce((sum, value) => sum + value, 0) / known.length;
  }
}

interface Tried {
  readonly model: SteppedModel;
  readonly test: BackTest;
}

const valuesSchema = v.object({
  values: v.custom<readonly number[]>(
    (list) => Array.isArray(list) && list.every((value) => typeof value === 'number'),
    'a list of numbers, with NaN where one is not known',
  ),
});
const optionsSchema = v.strictObject({
  horizon: v.pipe(v.number(), v.minValue(1), v.maxValue(100_000)),
  season: v.optional(v.pipe(v.number(), v.finite())),
  coverage: v.optional(v.pipe(v.number(), v.gtValue(0), v.ltValue(1))),
  minimum: v.optional(v.number()),
});

/**
 * Forecasts a series of evenly spaced values by additive Holt-Winters smoothing, with ranges from the errors that the
 * same model made on the series so far.
 *
 * @param values - Oldest first; `NaN` is a value that is not known, and so is one that is not finite. Of long series the last fourteen seasons count.
 * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID` when an option is missing, unknown or malformed.
 */
export function forecastSeries(values: readonly number[], options: ForecastOptions): SeriesForecast {
  parseOptions('forecastSeries', optionsSchema, options);
  parseOptions('forecastSeries', valuesSchema, { values });
  return forecastOf(
    values.map((value) => (Number.isFinite(value) ? value : Number.NaN)),
    options,
  );
}

function forecastOf(values: readonly number[], options: ForecastOptions): SeriesForecast {
  const horizon = Math.max(1, Math.floor(options.horizon));
  const season = options.season === undefined ? findSeason(filledGaps(values)) : Math.floor(options.season);
  const nothing = { usable: false, method: 'seasonal-naive', points: [] } as const;
  if (season === undefined || season < 1) return { ...nothing, reason: 'no-season' };
  if (values.length < 2 * season) return { ...nothing, season, reason: 'too-short' };
  const history = values.slice(-maxSeasons * season);
  const naive = tried(new SeasonalNaive(season), history, season, horizon);
  const best = bestModels(history, season, horizon);
  const relativeError = quotient(meanError(best.test, true), meanError(naive.test, true));
  const better = relativeError !== undefined && relativeError < 1;
  const { model, test } = better ? best : naive;
  const ranges = errorRanges(test, options.coverage ?? 0.9);
  if (ranges === undefined || relativeError === undefined) return { ...nothing, season, reason: 'too-short' };
  const minimum = options.minimum ?? Number.NEGATIVE_INFINITY;
  const points = Array.from({ length: horizon }, (_, index): ForecastPoint => {
    const value = model.forecast(index + 1);
    const { low, high } = rangeAt(test.steps, ranges, index + 1);
    const bounded = (one: number): number => Math.max(minimum, one);
    return { value: bounded(value), low: bounded(value + low), high: bounded(value + high) };
  });
  return better
    ? { usable: true, method: 'holt-winters', season, relativeError, points }
    : { usable: false, reason: 'no-better-than-last-season', method: 'seasonal-naive', season, relativeError, points };
}

function tried(model: SteppedModel, history: readonly number[], from: number, horizon: number): Tried {
  return { model, test: backTest(history, model, from, horizon) };
}

/** The mean of the models with the smallest errors on the history; all are judged from the same instants on. */
function bestModels(history: readonly number[], season: number, horizon: number): Tried {
  // A season is learned from one, and better from two where enough is left to be judged by.
  const from = history.length >= 4 * season ? 2 * season : season;
  const first = history.slice(0, from);
  const all = candidates.map((rates) => tried(new HoltWinters(first, season, rates), history, from, horizon));
  // How the series is now counts as much as how it was in all the time.
  const errors = new Map(
    all.map(({ test, model }) => [model, (meanError(test) ?? Number.POSITIVE_INFINITY) + (meanError(test, true) ?? 0)]),
  );
  const errorOf = ({ model }: Tried): number => errors.get(model) as number;
  const best = all.toSorted((a, b) => errorOf(a) - errorOf(b)).slice(0, maxModels);
  return { model: meanModel(best.map(({ model }) => model)), test: meanTest(best.map(({ test }) => test)) };
}

function meanModel(models: readonly SteppedModel[]): SteppedModel {
  return {
    learn: (value) => {
      for (const model of models) model.learn(value);
    },
    forecast: (steps) => models.reduce((sum, model) => sum + model.forecast(steps), 0) / models.length,
  };
}

/** Errors of the mean of several forecasts: as the value is the same, they are the mean of the errors. */
function meanTest(tests: readonly BackTest[]): BackTest {
  const [first] = tests as readonly [BackTest];
  const errors = first.errors.map((list, place) =>
    list.map(
      (_, origin) => tests.reduce((sum, test) => sum + (test.errors[place]?.[origin] as number), 0) / tests.length,
    ),
  );
  return { steps: first.steps, errors };
}

/** A flat series that is forecast as flat is as good as can be. */
function quotient(ours: number | undefined, theirs: number | undefined): number | undefined {
  if (ours === undefined || theirs === undefined) return undefined;
  return ours === 0 ? 0 : ours / theirs;
}

function filledGaps(values: readonly number[]): number[] {
  let last = values.find((value) => !Number.isNaN(value)) ?? 0;
  return values.map((value) => {
    if (!Number.isNaN(value)) last = value;
    return last;
  });
}
