import type { MetricQuery, MetricSample, MetricSource } from '@mnops/core/spi';
import { eventually, fakeClock } from '@mnops/core/testing';
import { describe, expect, it } from 'vitest';
import { PerformanceMonitoringManager } from '../performance-monitoring-manager.js';
import { forecastMetric } from './forecast-metric.js';
import { watchMetric } from './watch-metric.js';

const hour = 3_600_000;
const query = { metric: 'orders_total', reduce: 'rate' } as const;

function source(
  answer: (atMs: number, query: MetricQuery) => readonly MetricSample[] | Promise<readonly MetricSample[]>,
): MetricSource {
  return {
    specVersion: 1,
    kind: 'metric-source',
    id: 'registry',
    capabilities: { promql: false, structured: true },
    query: async (asked, call) => await answer(call.atMs ?? 0, asked),
  };
}

describe('forecastMetric', () => {
  it('forecasts by the days that the source remembers', async () => {
    const clock = fakeClock();
    let asked = 0;
    const daily = source((atMs, selection) => {
      asked += 1;
      expect(selection).toEqual({ ...query, windowMs: hour, by: [] });
      const beginMs = atMs - hour;
      const noise = ((beginMs / hour) * 7919) % 5;
      return [{ labels: {}, value: 100 + 80 * Math.sin((beginMs / hour / 24) * 2 * Math.PI) + noise, atMs }];
    });
    const asking = { source: daily, query, horizonMs: 6 * hour, stepMs: hour, minimum: 0 };
    const forecast = await forecastMetric(asking, { clock });
    expect(asked).toBe(7 * 24);
    expect(forecast).toMatchObject({ usable: true, method: 'holt-winters', stepMs: hour, notes: [] });
    expect(forecast.points).toHaveLength(6);
    // The clock starts at midnight, UTC.
    expect(forecast.points[0]?.at.toISOString()).toBe('2026-01-01T00:00:00.000Z');
    expect(Math.abs((forecast.points[5]?.value ?? 0) - (102 + 80 * Math.sin((5 / 24) * 2 * Math.PI)))).toBeLessThan(10);
  });

  it('says what is missing, and why', async () => {
    const clock = fakeClock();
    const asking = { query, horizonMs: hour, stepMs: hour };
    const empty = await forecastMetric({ ...asking, source: source(() => []) }, { clock });
    expect(empty).toMatchObject({ usable: false, reason: 'no-data', points: [], notes: [] });
    const young = source((atMs) => (atMs > clock.now() - 30 * hour ? [{ labels: {}, value: 5, atMs }] : []));
    expect(await forecastMetric({ ...asking, horizonMs: 30 * hour, source: young }, { clock })).toMatchObject({
      usable: false,
      reason: 'too-short',
      notes: [
        '30 hours of history are known, 2 days are wanted: two seasons.',
        'The forecast ends after 24 hours, a season: 30 hours were asked for.',
      ],
    });
    const broken = source(() => Promise.reject(Object.assign(new Error('x'), { code: 'ECONNREFUSED' })));
    expect((await forecastMetric({ ...asking, source: broken }, { clock })).notes).toEqual([
      'Metric source registry did not answer at all times: ECONNREFUSED.',
    ]);
    await expect(forecastMetric({ ...asking, source: young, stpMs: 1 } as never)).rejects.toThrow('`stepMs`');
  });

  it('refuses steps of which a season has more than it can ask for, and options that it cannot use', async () => {
    const silent = source(() => Promise.reject(new Error('asked')));
    const asking = { query, horizonMs: hour, source: silent };
    const code = 'MNOPS_CORE_CONFIG_INVALID';
    await expect(forecastMetric({ ...asking, stepMs: 34_000 })).rejects.toMatchObject({
      code,
      message: expect.stringContaining('stepMs: expected at least 34560'),
    });
    for (const options of [null, { timeoutMs: '1' }, { signal: 1 }, { timeout: 1 }]) {
      await expect(forecastMetric(asking, options as never)).rejects.toMatchObject({ code });
    }
  });
});

describe('watchMetric', () => {
  it('refuses by field, and speaks of the form that was meant alone', () => {
    const recorder = { recordMetric: () => undefined };
    const asking = { source: source(() => []), name: 'x', query };
    const refusalOf = (apm: unknown, watched: unknown): string => {
      try {
        watchMetric(apm as typeof recorder, watched as typeof asking)();
      } catch (error) {
        return (error as Error).message;
      }
      return '';
    };
    const latest = refusalOf(recorder, { ...asking, query: { metric: 'x', reduce: 'latest' } });
    expect(latest).toMatch(/query\.reduce/);
    expect(latest).not.toMatch(/promql|ratio/);
    expect(refusalOf(recorder, { ...asking, query: { promql: 1 } })).toMatch(/query\.promql: expected string/);
    expect(refusalOf(recorder, { ...asking, query: undefined })).toMatch(/query/);
    expect(refusalOf(undefined, asking)).toMatch(/apm: expected a manager with recordMetric/);
  });

  it('gives a metric of a source baselines, and goes on when the source fails', async () => {
    const clock = fakeClock();
    const apm = new PerformanceMonitoringManager({ clock, registerGlobals: false, service: 'shop' });
    await apm.start();
    let asked = 0;
    const codes: string[] = [];
    const depth = source((atMs) => {
      asked += 1;
      if (asked % 10 === 0) return Promise.reject(new TypeError('no'));
      return [{ labels: { queue: 'mail' }, value: 12, atMs }];
    });
    const onFailure = (code: string): void => {
      codes.push(code);
      throw new Error('a listener that throws');
    };
    const stop = watchMetric(apm, { source: depth, name: 'depth', query, by: ['queue'], onFailure, clock });
    for (let i = 0; i < 40; i += 1) await clock.advance(10_000);
    const [baseline] = apm.baselines({ kind: 'metric', operation: 'depth' });
    expect(baseline).toMatchObject({ labels: { queue: 'mail' }, durationMs: { mean: 12 } });
    expect(baseline?.count).toBeGreaterThan(30);
    expect(codes).toEqual(new Array(4).fill('an error without a code'));
    stop();
    await clock.advance(60_000);
    expect(asked).toBe(40);
    await apm.stop();
  });

  it('gives up a question when the next one is due', async () => {
    const clock = fakeClock();
    const codes: string[] = [];
    const silent = source(() => new Promise<never>(() => undefined));
    const onFailure = (code: string): number => codes.push(code);
    const stop = watchMetric({ recordMetric: () => undefined }, { source: silent, name: 'x', query, clock, onFailure });
    await clock.advance(20_000);
    await eventually(() => codes.length > 0);
    expect(codes[0]).toBe('MNOPS_CORE_TIMEOUT');
    stop();
    await eventually(() => clock.pending === 0);
  });
});
