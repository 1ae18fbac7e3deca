import type { Call, MetricQuery } from '@mnops/core/spi';
import { fakeClock, metricSourceContract, testCall } from '@mnops/core/testing';
import { describe, expect, it } from 'vitest';
import { originOf } from '../analysis/span-facts.js';
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

describe('query', () => {
  const series = new RequestSeries(options);
  series.observe(origin, 'GET /', {}, false, 500, 10);
  const source = traceMetricSource(
    () => series,
    () => 1_000,
  );
  const selection = { metric: 'http_server_request_duration_seconds', reduce: 'count', windowMs: 1_000 };
  const refusal = async (query: unknown, call: unknown = testCall()): Promise<string> => {
    try {
      await source.query(query as MetricQuery, call as Call);
    } catch (error) {
      expect(error).toMatchObject({ code: 'MNOPS_CORE_CONFIG_INVALID' });
      return (error as Error).message;
    }
    return '';
  };

  it('refuses by field what it does not know: it would count everything', async () => {
    const wrong: readonly (readonly [unknown, RegExp])[] = [
      [undefined, /the options/],
      [null, /the options/],
      ['up', /the options/],
      [{}, /reduce: .*windowMs: .*metric: /s],
      [{ ...selection, mtch: { service: 'x' } }, /mtch: .*Did you mean `match`/],
      [{ ...selection, match: { servce: 'x' } }, /match\.servce: .*Did you mean `service`/],
      [{ ...selection, match: { service: { nott: 'x' } } }, /match\.service/],
      [{ ...selection, match: { service: { oneOf: 'x' } } }, /match\.service\.oneOf/],
      [{ ...selection, match: { service: 1 } }, /match\.service: /],
      [{ ...selection, by: ['verison'] }, /by\.0: .*"version"/],
      [{ ...selection, by: 'service' }, /by: /],
      [{ ...selection, reduce: 'average' }, /reduce: /],
      [{ ...selection, reduce: { quantile: 95 } }, /reduce\.quantile: /],
      [{ ...selection, windowMs: 0 }, /windowMs: /],
      [{ ...selection, windowMs: Number.NaN }, /windowMs: /],
      [{ ...selection, windowMs: Number.POSITIVE_INFINITY }, /windowMs: /],
      [{ ...selection, metric: '' }, /metric: /],
      [{ ratio: null }, /ratio: /],
      [{ ratio: { part: selection } }, /ratio\.whole: /],
      [{ ratio: { part: { ...selection, match: { statusclass: '5xx' } }, whole: selection } }, /ratio\.part\.match/],
      [{ ratio: { part: selection, whole: selection }, match: {} }, /match: expected no such option/],
    ];
    for (const [query, message] of wrong) expect(await refusal(query), JSON.stringify(query)).toMatch(message);
    for (const call of [null, {}, { signal: 1 }]) expect(await refusal(selection, call)).toMatch(/call/);
    expect(await refusal(selection, { ...testCall(), atMs: Number.NaN })).toMatch(/call\.atMs/);
  });

  it('takes every condition and group that there is, and any label of a recorded metric', async () => {
    const match = { service: 'api', version: { not: '2' }, method: { oneOf: ['', 'GET'] } };
    const by = ['service', 'version', 'revision', 'service_instance', 'method', 'route', 'status_class'];
    const [sample] = await source.query({ ...selection, match, by } as MetricQuery, testCall());
    expect(sample).toMatchObject({ value: 1, labels: { service: 'api', status_class: '2xx' } });
    const recorded = { ...selection, metric: 'queue.depth', match: { anything: 'x' }, by: ['any'] };
    expect(await refusal(recorded)).toBe('');
  });
});

describe('RequestSeries', () => {
  it('tells the deployments of a service apart, as the judgement of a canary asks', async () => {
    const series = new RequestSeries(options);
    for (const [revision, failed] of [
      ['stable', 1],
      ['canary', 5],
    ] as const) {
      const deployed = originOf({ 'service.name': 'api', 'service.version': '1', 'mnops.revision': revision });
      for (let i = 0; i < 10; i += 1) series.observe(deployed, 'GET /', {}, i < failed, 500, 10);
    }
    const source = traceMetricSource(
      () => series,
      () => 1_000,
    );
    const shareOf = async (revision: string): Promise<number | undefined> => {
      const match = { service: 'api', revision };
      const whole = {
        metric: 'http_server_request_duration_seconds',
        reduce: 'count',
        windowMs: 1_000,
        match,
      } as const;
      const part = { ...whole, match: { ...match, status_class: '5xx' } };
      const [sample] = await source.query({ ratio: { part, whole } }, testCall());
      return sample?.value;
    };
    expect([await shareOf('stable'), await shareOf('canary')]).toEqual([0.1, 0.5]);
  });

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
