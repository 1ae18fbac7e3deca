import { afterEach, describe, expect, it } from 'vitest';
import type { MetricSeries } from '../analysis/root-cause/inputs.js';
import { PerformanceMonitoringManager } from '../performance-monitoring-manager.js';

const apm = new PerformanceMonitoringManager({ service: 'test', registerGlobals: false });
afterEach(() => apm.stop());

const at = new Date(1_700_000_000_000);

function usage(service: string, after: number): MetricSeries {
  const points = Array.from({ length: 30 }, (_, i) => ({
    atMs: at.getTime() + (i - 25) * 60_000,
    value: i < 25 ? 10 : after,
  }));
  return { service, name: 'cpu', role: 'usage', points };
}

describe('findRootCause', () => {
  it('answers from metrics and lines where there are no traces', async () => {
    const metrics = [usage('shop', 10), usage('stock', 95)];
    const report = await apm.findRootCause({ at, metrics, logs: [], calls: [{ client: 'shop', server: 'stock' }] });
    expect(report).toMatchObject({ verdict: 'found', candidates: [{ service: 'stock' }] });
    expect(report.candidates[0]?.evidence[0]?.text).toBe('cpu of stock is 95, before it was 10.');
    expect(report.elapsedMs).toBeGreaterThanOrEqual(0);
    expect((await apm.findRootCause({ at, metrics: [usage('shop', 10)] })).verdict).toBe('none');
  });

  it('says what of the query fits nothing', async () => {
    expect((await apm.findRootCause({ at })).notes).toEqual([
      'There are 0 traces before and 0 after; 5 are needed on either side.',
    ]);
    const metrics = [usage('shop', 95)];
    expect((await apm.findRootCause({ at, metrics, service: 'shp', metric: 'cqu' })).notes).toEqual([
      'Nothing is known of the service shp in this time.',
      'No series is named cqu.',
    ]);
    expect((await apm.findRootCause({ at, metrics, service: 'shop', metric: 'cpu' })).notes).toEqual([]);
  });

  it('refuses a series without a known role', async () => {
    const wrong = { ...usage('shop', 10), role: 'speed' } as never;
    await expect(apm.findRootCause({ at, metrics: [wrong] })).rejects.toMatchObject({
      code: 'MNOPS_CORE_CONFIG_INVALID',
    });
  });
});
