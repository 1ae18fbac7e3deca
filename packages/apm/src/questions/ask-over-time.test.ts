import type { MetricSource } from '@mnops/core/spi';
import { testCall } from '@mnops/core/testing';
import { describe, expect, it } from 'vitest';
import { PerformanceMonitoringManager } from '../performance-monitoring-manager.js';
import { askOverTime, emptyAnswer } from './ask-over-time.js';

const source: MetricSource = {
  specVersion: 1,
  kind: 'metric-source',
  id: 'registry',
  capabilities: { promql: true, structured: true },
  query: () => Promise.resolve([]),
};

describe('questions over time', () => {
  it('may be more than a function takes arguments', async () => {
    const asked = Array.from({ length: 150_000 }, (_, index) => ({
      question: {
        source,
        query: { promql: 'up' },
        by: [],
        windowMs: 1,
        times: index === 7 ? [1, 2, 3] : [],
        stepMs: 1,
      },
      answer: emptyAnswer(),
    }));
    await askOverTime(asked, 10, testCall());
    expect(asked[7]?.answer.answered).toBe(3);
  });

  it('are refused where sources would be asked without end, with what to do', async () => {
    const apm = new PerformanceMonitoringManager({ registerGlobals: false });
    const find = apm.findRootCause({ at: new Date(), metrics: new Array<MetricSource>(2_001).fill(source) });
    await expect(find).rejects.toMatchObject({
      code: 'MNOPS_CORE_CONFIG_INVALID',
      message: expect.stringMatching(/metrics: expected .*10000 questions.*Give fewer sources/s),
    });
  });
});
