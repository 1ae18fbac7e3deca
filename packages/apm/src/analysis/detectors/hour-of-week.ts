const hourMs = 3_600_000;
const hours = 168;
/** Weight of a new value in the mean of its hour. */
const share = 0.1;

/** Hour of the week of an instant, counted from Thursday 00:00 UTC, where epoch time begins; `undefined` without a time. */
export function hourOfWeek(atMs: number): number | undefined {
  const hour = Math.floor(atMs / hourMs) % hours;
  return hour >= 0 ? hour : hour < 0 ? hour + hours : undefined;
}

/** Mean of a series in each hour of the week; newer values weigh more. */
export class HourOfWeekMeans {
  readonly #means = new Float64Array(hours);
  readonly #counts = new Uint8Array(hours);

  /** Takes a value in and gives its difference to the mean of its hour; `undefined` for the first value of an hour. */
  next(value: number, atMs: number): number | undefined {
    const hour = hourOfWeek(atMs);
    if (hour === undefined) return undefined;
    const count = this.#counts[hour] as number;
    const mean = this.#means[hour] as number;
    this.#means[hour] = mean + Math.max(share, 1 / (count + 1)) * (value - mean);
    if (count < 255) this.#counts[hour] = count + 1;
    return count === 0 ? undefined : value - mean;
  }
}
