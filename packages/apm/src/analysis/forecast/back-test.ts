/** Forecasts of the past beside what came, for some numbers of steps ahead. */
export interface BackTest {
  /** Steps ahead that were tried. */
  readonly steps: readonly number[];
  /** Value minus forecast: one list per entry of `steps`, oldest first; `NaN` where the value is not known. */
  readonly errors: readonly (readonly number[])[];
}

/** A model that is led through a series. */
export interface SteppedModel {
  learn(value: number): void;
  forecast(steps: number): number;
}

/** Instants that a forecast is made for at most. */
const maxOrigins = 300;
/** Numbers of steps that are tried at most. */
const maxSteps = 8;

/** Numbers of steps from 1 to the horizon, closer together where they are small. */
export function stepsUpTo(horizon: number): readonly number[] {
  const steps = new Set<number>();
  for (let i = 0; i < maxSteps; i += 1) steps.add(Math.round(horizon ** (i / (maxSteps - 1))));
  return [...steps];
}

/**
 * Leads a model through a series and lets it forecast again and again on the way.
 *
 * @param from - Values that the model has learned before the first forecast.
 */
export function backTest(values: readonly number[], model: SteppedModel, from: number, horizon: number): BackTest {
  const steps = stepsUpTo(horizon);
  const errors: number[][] = steps.map(() => []);
  const stride = Math.max(1, Math.ceil((values.length - from) / maxOrigins));
  for (const [index, value] of values.entries()) {
    model.learn(value);
    const known = index + 1;
    if (known < from || (values.length - known) % stride !== 0) continue;
    for (const [place, ahead] of steps.entries()) {
      const later = values[index + ahead];
      if (later !== undefined) errors[place]?.push(later - model.forecast(ahead));
    }
  }
  return { steps, errors };
}

/** Mean size of the errors; of the newest third only when `recent`. `undefined` when none is known. */
export function meanError({ errors }: BackTest, recent = false): number | undefined {
  let sum = 0;
  let count = 0;
  for (const list of errors) {
    for (let i = recent ? Math.floor((list.length * 2) / 3) : 0; i < list.length; i += 1) {
      const size = Math.abs(list[i] as number);
      if (Number.isNaN(size)) continue;
      sum += size;
      count += 1;
    }
  }
  return count > 0 ? sum / count : undefined;
}
