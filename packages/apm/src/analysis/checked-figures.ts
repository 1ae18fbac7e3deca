import type { MnopsError } from '@mnops/core';
import { configError, parseOptions } from '@mnops/core/config';
import * as v from 'valibot';

/** What is to be merged is something else, or of another copy of this package. */
export function notMergeable(name: 'LatencySketch' | 'RunningMoments'): MnopsError {
  const remedy =
    name === 'LatencySketch'
      ? 'Bring a sketch of another copy of the package over with `LatencySketch.restored(other.toJSON())`.'
      : 'Bring moments of another copy of the package over with `RunningMoments.of(count, mean, squares)`.';
  return configError(`${name}.merge`, [{ field: 'other', expected: `a ${name}`, received: 'another thing', remedy }]);
}

/** Refuses a factor that would leave no figures. */
export function checkFactor(name: 'LatencySketch' | 'RunningMoments', factor: unknown): void {
  if (typeof factor === 'number' && factor >= 0 && factor < Number.POSITIVE_INFINITY) return;
  const expected = 'a finite number of at least 0';
  throw configError(`${name}.scale`, [
    { field: 'factor', expected, received: 'another value', remedy: `Change \`factor\` to ${expected}.` },
  ]);
}

const stateSchema = v.object({
  state: v.looseObject({
    ...v.entriesFromList(['count', 'sum', 'min', 'max', 'zeroes'], v.pipe(v.number(), v.finite())),
    buckets: v.custom((list) => Array.isArray(list) && list.every(Number.isFinite), 'a list of finite numbers'),
  }),
});

/** Refuses what `toJSON` has not written. */
export function checkState(state: unknown): void {
  parseOptions('LatencySketch.restored', stateSchema, { state });
}
