import { hourOfWeek, hoursOfWeek } from '../hour-of-week.js';

/** Weight of a new value in the mean of its hour. */
const share = 0.1;

/** Mean of a series in each hour of the week; newer values weigh more. */
export class HourOfWeekMeans {
  readonly #means = new Float64Array(hoursOfWeek);
  readonly #counts = new Uint8Array(hoursOfWeek);

  /** Takes a value in and gives its difference to the mean of its hour; `undefined` for the first value of an hour. */
  next(value: number, atMs: number): number | undefined {
    const hour = hourOfWeek(atMs);
    if (Number.isNaN(hour)) return undefined;
    const count = this.#counts[hour] as number;
    const mean = this.#means[hour] as number;
    this.#means[hour] = mean + Math.max(share, 1 / (count + 1)) * (value - mean);
    if (count < 255) this.#counts[hour] = count + 1;
    return count === 0 ? undefined : value - mean;
  }
}
