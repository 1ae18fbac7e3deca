import { describe, expect, it } from 'vitest';
import { createDetector, createVectorDetector, forecastSeries } from './index.js';

describe('the options of the analysis alone', () => {
  it.each([
    ['detector', () => createDetector({ detector: 'sigmoid' } as never)],
    ['kind', () => createDetector({ kind: 'sigma' } as never)],
    ['minPoints', () => createDetector({ minPoints: 0 })],
    ['dimensions', () => createVectorDetector({} as never)],
    ['tree', () => createVectorDetector({ dimensions: 2, tree: 3 } as never)],
    ['depth', () => createVectorDetector({ dimensions: 2, depth: 40 })],
    ['horizon', () => forecastSeries([1, 2, 1, 2], { season: 2 } as never)],
    ['steps', () => forecastSeries([1, 2, 1, 2], { horizon: 2, steps: 2 } as never)],
    ['coverage', () => forecastSeries([1, 2, 1, 2], { horizon: 2, coverage: 90 })],
  ])('%s is refused where it is wrong', (field, call) => {
    expect(call).toThrow(
      expect.objectContaining({
        code: 'MNOPS_CORE_CONFIG_INVALID',
        details: { issues: [expect.objectContaining({ field })] },
      }),
    );
  });
});
