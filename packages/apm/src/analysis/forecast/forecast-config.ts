import * as v from 'valibot';

/** What is remembered of each operation to forecast it by. */
export interface ForecastConfig {
  /** Length of one remembered value, rounded up to whole buckets. Default 300_000. */
  readonly stepMs?: number | undefined;
  /** After this time an operation's load repeats. Default 86_400_000, a day. */
  readonly seasonMs?: number | undefined;
  /** Seasons remembered of an operation. Default 14. */
  readonly seasons?: number | undefined;
  /** Bytes for all operations; beyond, the oldest values go. Default 16 MiB. */
  readonly maxBytes?: number | undefined;
}

const durationSchema = v.pipe(v.number(), v.finite(), v.minValue(1));

/** Checks the options of the forecast. */
export const forecastSchema: v.GenericSchema<ForecastConfig> = v.pipe(
  v.strictObject({
    stepMs: v.optional(durationSchema),
    seasonMs: v.optional(durationSchema),
    seasons: v.optional(v.pipe(v.number(), v.integer(), v.minValue(2))),
    maxBytes: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1))),
  }),
  v.check(
    ({ stepMs = 300_000, seasonMs = 86_400_000 }) => seasonMs >= 2 * stepMs,
    'a `seasonMs` of at least two `stepMs`',
  ),
);

/** Defaults of the forecast. */
export const forecastDefaults: { readonly [Key in keyof ForecastConfig]-?: number } = {
  stepMs: 300_000,
  seasonMs: 86_400_000,
  seasons: 14,
  maxBytes: 16_777_216,
};
