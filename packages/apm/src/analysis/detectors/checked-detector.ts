import type { Detector } from './detector.js';

/** A detector for which whatever is no number is `NaN`, or is not given where that is allowed. */
export function checkedDetector(detector: Detector): Detector {
  return {
    id: detector.id,
    next: (value, atMs) => detector.next(numberOf(value), numberOf(atMs)),
    score: (value, noise, atMs) => detector.score(numberOf(value), finiteOf(noise), finiteOf(atMs)),
    learn: (value, atMs) => detector.learn(numberOf(value), finiteOf(atMs)),
    expected: (noise, atMs) => detector.expected(finiteOf(noise), finiteOf(atMs)),
  };
}

function numberOf(value: unknown): number {
  return typeof value === 'number' ? value : Number.NaN;
}

function finiteOf(value: number | undefined): number | undefined {
  return Number.isFinite(value) ? value : undefined;
}
