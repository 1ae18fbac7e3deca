import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { killTrial } from './fixtures/kill-trial.js';

const points = [
  'intent-recorded',
  'pending-stored',
  'applied',
  'verified',
  'promoted',
  'grace-recorded',
  'revoked',
  'closed',
  'applied-unrecorded',
  'revoked-unrecorded',
];

describe('a rotation that is killed', () => {
  it.each(points)('at %s converges at the next start to one valid value', async (point) => {
    const trial = await killTrial();
    try {
      const child = trial.spawn(point);
      const [, signal] = await once(child, 'exit');
      expect(signal).toBe('SIGKILL');
      expect(await trial.recover()).toEqual([]);
    } finally {
      await trial.close();
    }
  });
});
