import { healthSourceContract } from '@mnops/core/testing';
import { describe, expect, it } from 'vitest';
import type { PerformanceAnomaly } from '../analysis/anomaly.js';
import { anomalyHealthSource, sentenceOf } from './health-source.js';

const anomaly: PerformanceAnomaly = {
  id: '1',
  service: 'catalog',
  operation: 'GET /items',
  kind: 'server',
  signal: 'errors',
  statistic: 'error-share',
  detector: 'adaptive',
  openedAt: new Date(0),
  observed: 0.05123,
  expected: { low: 0, value: 0.001, high: 0.01 },
  score: 1,
  severity: 'critical',
  traceIds: [],
};

healthSourceContract({ describe, it }, 'apm', async () => {
  let open: PerformanceAnomaly[] = [];
  return {
    provider: anomalyHealthSource(() => open, Date.now),
    become: (status: 'healthy' | 'unhealthy') => {
      open = status === 'healthy' ? [] : [anomaly];
    },
  };
});

describe('sentenceOf', () => {
  it('says in words what is unusual', () => {
    expect(sentenceOf(anomaly)).toBe('catalog GET /items: 5.12 % of the calls fail, usual is 0.1 %.');
    const slow = { ...anomaly, signal: 'duration' as const, statistic: 'p90' as const, observed: 131.24 };
    expect(sentenceOf({ ...slow, expected: { low: 1, value: 4.5, high: 9 } })).toBe(
      'catalog GET /items: the P90 is 131 ms, usual is 4.5 ms.',
    );
    const still = { ...anomaly, statistic: 'calls-per-second' as const, observed: 0 };
    expect(sentenceOf(still)).toContain('0 calls per second');
  });
});
