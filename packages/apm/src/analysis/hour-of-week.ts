const hourMs = 3_600_000;
/** Hours from the epoch, a Thursday, to the first Monday. */
const mondayHours = 96;

/** Hours of a week. */
export const hoursOfWeek = 168;

/** Hour of the week in UTC, 0 to 167; 0 begins on Monday, and what is left of 24 is the hour of the day. `NaN` of no time. */
export function hourOfWeek(atMs: number): number {
  const hour = (Math.floor(atMs / hourMs) - mondayHours) % hoursOfWeek;
  return (hour + hoursOfWeek) % hoursOfWeek;
}
