const units = [
  ['days', 86_400_000],
  ['hours', 3_600_000],
  ['minutes', 60_000],
  ['seconds', 1_000],
] as const;

/** A length of time in words: in the largest unit that it has two of. */
export function lengthText(ms: number): string {
  const [name, size] = units.find(([, unit]) => ms >= 2 * unit) ?? ['seconds', 1_000];
  return `${Number((ms / size).toFixed(1))} ${name}`;
}

/** What a forecast is based on, and what of it was asked for. */
export interface ForecastExtent {
  readonly values: readonly number[];
  readonly stepMs: number;
  readonly seasonMs: number;
  readonly horizonMs: number;
  /** Why it is not usable. */
  readonly reason: string | undefined;
}

/** How much history is missing, and how much of the horizon was cut off; nothing where neither is. */
export function extentNotes({ values, stepMs, seasonMs, horizonMs, reason }: ForecastExtent): string[] {
  const notes: string[] = [];
  if (reason === 'too-short') {
    const known = values.reduce((count, value) => count + Number(Number.isFinite(value)), 0);
    notes.push(
      `${lengthText(known * stepMs)} of history are known, ${lengthText(2 * seasonMs)} are wanted: two seasons.`,
    );
  }
  if (horizonMs > seasonMs) {
    notes.push(`The forecast ends after ${lengthText(seasonMs)}, a season: ${lengthText(horizonMs)} were asked for.`);
  }
  return notes;
}
