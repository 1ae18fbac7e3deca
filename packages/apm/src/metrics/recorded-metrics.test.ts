import { fakeClock, metricSourceContract, testCall } from '@mnops/core/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { PerformanceMonitoringManager } from '../performance-monitoring-manager.js';
import type { Metric } from './metric.js';

const running: PerformanceMonitoringManager[] = [];
afterEach(async () => {
  for (const apm of running.splice(0)) await apm.stop();
});

function manager(nowMs = Date.UTC(2026, 0, 7, 12)) {
  const clock = fakeClock({ nowMs });
  const apm = new PerformanceMonitoringManager({ service: 'shop', registerGlobals: false, clock });
  running.push(apm);
  return { apm, clock };
}

metricSourceContract({ describe, it }, 'apm, recorded metrics', async () => {
  const { apm, clock } = manager();
  const totals = new Map<string, number>();
  return {
    provider: apm.metricSource,
    feed: {
      counter(name, attributes, total) {
        const key = JSON.stringify([name, attributes]);
        const before = totals.get(key);
        totals.set(key, total);
        // The first total says nothing about the window; after a restart the counter began at 0.
        const value = before === undefined ? 0 : total < before ? total : total - before;
        apm.recordMetric({ name, kind: 'counter', value, attributes });
      },
      gauge: (name, attributes, value) => apm.recordMetric({ name, kind: 'gauge', value, attributes }),
      observe: (name, attributes, value) => apm.recordMetric({ name, kind: 'histogram', value, attributes }),
      tick: async (ms) => {
        await clock.advance(ms);
      },
    },
  };
});

describe('recordMetric', () => {
  it('gives baselines by series, found by the name of the metric', () => {
    const { apm } = manager();
    for (let i = 1; i <= 100; i += 1) {
      apm.recordMetric({
        name: 'queue.depth',
        kind: 'gauge',
        value: i,
        unit: '{message}',
        attributes: { queue: 'mail' },
      });
      apm.recordMetric({ name: 'queue.depth', kind: 'gauge', value: -5, attributes: { queue: 'sms' } });
    }
    const [mail, sms] = apm
      .baselines({ kind: 'metric', operation: 'queue.depth' })
      .sort((a, b) => (a.operation < b.operation ? -1 : 1));
    expect(mail).toMatchObject({
      service: 'shop',
      operation: 'queue.depth{queue="mail"}',
      labels: { queue: 'mail' },
      kind: 'metric',
      count: 100,
      bucket: 'hour-of-week',
    });
    expect(mail?.durationMs).toMatchObject({ min: 1, max: 100, mean: 50.5 });
    expect(mail?.durationMs.p99).toBeCloseTo(99, -0.5);
    expect(sms?.durationMs).toMatchObject({ min: -5, max: -5, mean: -5 });
    expect(apm.baselines({ kind: 'server' })).toEqual([]);
  });

  it('counts what is no metric, and throws at nothing', () => {
    const { apm } = manager();
    const good: Metric = { name: 'a', kind: 'gauge', value: 1 };
    const circular: Record<string, unknown> = {};
    circular['self'] = circular;
    const bad: unknown[] = [
      undefined,
      null,
      7,
      [],
      {},
      { ...good, value: Number.NaN },
      { ...good, value: Number.POSITIVE_INFINITY },
      { ...good, value: '1' },
      { ...good, kind: 'toString' },
      { ...good, kind: 'counter', value: -1 },
      { ...good, name: '' },
      { ...good, name: 'n'.repeat(10_000) },
      { ...good, at: new Date(Number.NaN) },
      { ...good, at: 5 },
      {
        ...good,
        get name() {
          throw new Error('hostile');
        },
      },
    ];
    for (const metric of bad) apm.recordMetric(metric as Metric);
    expect(apm.stats().metrics).toMatchObject({ recorded: 0, rejected: bad.length, series: 0 });
    const attributes: Record<string, unknown> = { circular, list: [1], big: 'x'.repeat(1_000_000), __proto__: null };
    for (let i = 0; i < 1_000; i += 1) attributes[`key${i}`] = i;
    apm.recordMetric({ ...good, attributes: attributes as never });
    apm.recordMetric({ ...good, attributes: 'none' as never });
    const { recorded, series, cutLabels } = apm.stats().metrics;
    expect([recorded, series]).toEqual([2, 2]);
    expect(cutLabels).toBeGreaterThan(50);
    expect(JSON.stringify(apm.baselines()).length).toBeLessThan(10_000);
  });

  it('keeps a bounded number of series apart and counts the others together', () => {
    const { apm } = manager();
    for (let i = 0; i < 1_500; i += 1)
      apm.recordMetric({ name: 'm', kind: 'counter', value: 1, attributes: { user: i } });
    expect(apm.stats().metrics).toMatchObject({ recorded: 1_500, series: 1_001, overflowed: 500 });
    expect(apm.baselines({ kind: 'metric', operation: '(other)' })[0]?.count).toBe(500);
  });

  it('answers nothing of another time, and refuses what the kind cannot say', async () => {
    const { apm, clock } = manager();
    apm.recordMetric({ name: 'old', kind: 'gauge', value: 1, at: new Date(clock.now() - 86_400_000) });
    apm.recordMetric({ name: 'ahead', kind: 'gauge', value: 1, at: new Date(clock.now() + 86_400_000) });
    apm.recordMetric({ name: 'now', kind: 'gauge', value: 3 });
    await clock.advance(1_000);
    const ask = (metric: string, reduce: 'last' | 'rate' = 'last') =>
      apm.metricSource.query({ metric, reduce, windowMs: 60_000, by: ['service'] }, testCall());
    expect(await ask('old')).toEqual([]);
    expect(await ask('ahead')).toEqual([]);
    expect(await ask('now')).toMatchObject([{ labels: { service: 'shop' }, value: 3 }]);
    await expect(ask('now', 'rate')).rejects.toMatchObject({ code: 'MNOPS_CORE_UNSUPPORTED' });
  });

  it.each([
    ['gauge', 40],
    ['counter', 40],
    ['histogram', 40],
  ] as const)('opens an anomaly when a %s leaves its range, and closes it after', async (kind, far) => {
    const { apm, clock } = manager();
    await apm.start();
    const stretch = async (seconds: number, level: number): Promise<void> => {
      for (let second = 0; second < seconds; second += 1) {
        apm.recordMetric({ name: 'load', kind, value: level + (second % 3) * 0.1, unit: '1' });
        await clock.advance(1_000);
      }
    };
    await stretch(400, 10);
    expect(apm.detectAnomalies()).toEqual([]);
    await stretch(90, far);
    const [open] = apm.detectAnomalies({ signal: 'metric', open: true });
    expect(open).toMatchObject({ service: 'shop', operation: 'load', kind: 'metric', statistic: 'value' });
    expect(open?.observed).toBeGreaterThan(20);
    expect(open?.expected.value).toBeCloseTo(10, 0);
    const { reasons } = await apm.healthSource.check(testCall());
    expect(reasons[0]).toMatch(/^shop load is \d+(\.\d+)?, usual is 10/);
    await stretch(120, 10);
    expect(apm.detectAnomalies({ open: true })).toEqual([]);
    expect(apm.detectAnomalies()[0]?.closedAt).toBeDefined();
  });
});
