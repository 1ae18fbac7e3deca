import { fakeClock, metricSourceContract, testCall } from '@mnops/core/testing';
import { describe, expect, it } from 'vitest';
import { traceMetricSource } from './metric-source.js';
import { RequestSeries } from './request-series.js';

const options = { slotMs: 1_000, retainMs: 60_000, maxSeries: 5, maxBytes: 1_000_000 };
const origin = { service: 'api', version: '1', instance: 'a' };

metricSourceContract({ describe, it }, 'apm', async () => {
  const clock = fakeClock();
  const series = new RequestSeries(options);
  return {
    provider: traceMetricSource(
      () => series,
      () => clock.now(),
    ),
  };
});

function count(series: RequestSeries, atMs: number, windowMs: number): Promise<number[]> {
  const source = traceMetricSource(
    () => series,
    () => atMs,
  );
  const selection = { metric: 'http_server_request_duration_seconds', reduce: 'count', windowMs } as const;
  return source.query(selection, testCall()).then((samples) => samples.map(({ value }) => value));
}

describe('RequestSeries', () => {
  it('answers for the window that is asked, to a slot', async () => {
    const series = new RequestSeries(options);
    for (let second = 0; second < 30; second += 1) series.observe(origin, 'GET /', {}, false, second * 1_000 + 500, 10);
    expect(await count(series, 30_000, 10_000)).toEqual([10]);
    expect(await count(series, 30_000, 100_000)).toEqual([30]);
    expect(await count(series, 10_000, 5_000)).toEqual([5]);
    expect(await count(series, 200_000, 5_000)).toEqual([]);
  });

  it('lets go of what is too old, and takes nothing that is', async () => {
    const series = new RequestSeries(options);
    series.observe(origin, 'GET /', {}, false, 0, 10);
    series.observe(origin, 'GET /', {}, false, 100_000, 10);
    series.observe(origin, 'GET /', {}, false, 0, 10);
    expect(await count(series, 101_000, 1e9)).toEqual([1]);
  });

  it('counts label sets beyond its limit under (other)', async () => {
    const series = new RequestSeries(options);
    for (let i = 0; i < 20; i += 1) series.observe(origin, `GET /${i}`, {}, false, 500, 10);
    expect(await count(series, 1_000, 1_000)).toEqual([20]);
    expect(series.seriesCount).toBeLessThanOrEqual(6);
    expect(series.overflowed).toBe(15);
  });
});
