import { describe, expect, it } from 'vitest';
import { Operation } from '../operation.js';
import { OperationStats } from '../operation-stats.js';
import { LoadHistory } from './load-history.js';

function operation(name: string): Operation {
  const origin = { service: 'shop', version: undefined, instance: undefined };
  const facts = {
    traceId: '1',
    spanId: '1',
    parentSpanId: undefined,
    origin,
    operation: name,
    peer: undefined,
  } as const;
  const time = { nowMs: 0, bucketMs: 60_000, halfLifeMs: 604_800_000 };
  return new Operation({ ...facts, kind: 'server', endMs: 0, durationMs: 1, error: false }, name, 'shop', 1, time);
}

function stats(count: number, errors = 0): OperationStats {
  const result = new OperationStats();
  for (let i = 0; i < count; i += 1) result.add(20, i < errors, '1');
  return result;
}

const limits = { bucketMs: 1_000, stepMs: 2_000, maxSteps: 600, maxBytes: 1e9 };

describe('the history of load', () => {
  it('joins buckets to steps, and knows what it does not know', () => {
    const history = new LoadHistory(limits);
    const one = operation('a');
    history.add(one, 3_000, stats(5, 1));
    for (const startMs of [4_000, 5_000]) history.add(one, startMs, stats(10, 5));
    history.add(one, 8_000, stats(0));
    history.add(one, 9_000, stats(0));
    history.add(one, 10_000, stats(7));
    const series = (signal: 'throughput' | 'errors' | 'duration') => history.series(one, signal, 11_000);
    expect(series('throughput')).toEqual({ stepMs: 2_000, endMs: 10_000, values: [5, 10, Number.NaN, 0] });
    expect(series('errors')?.values.map((value) => Math.round(value * 100))).toEqual([20, 50, Number.NaN, Number.NaN]);
    expect(series('duration')?.values.slice(0, 2)).toEqual([20, 20]);
    expect(history.series(operation('b'), 'errors', 11_000)).toBeUndefined();
  });

  it('keeps to its length and to its bytes', () => {
    const long = new LoadHistory(limits);
    const one = operation('a');
    for (let step = 0; step < 5_000; step += 1) long.add(one, step * 2_000, stats(1));
    const length = long.series(one, 'throughput', 10_000_000)?.values.length ?? 0;
    expect(length).toBeGreaterThanOrEqual(600);
    expect(length).toBeLessThan(1_300);
    expect(long.bytes).toBeLessThan(30_000);

    const many = new LoadHistory({ ...limits, maxBytes: 50_000 });
    const all = Array.from({ length: 50 }, (_, index) => operation(`operation ${index}`));
    for (const each of all) many.add(each, 1_000, stats(1));
    expect(many.bytes).toBeLessThanOrEqual(50_000);
    expect(many.series(all[49] as Operation, 'throughput', 4_000)?.values).toHaveLength(2);
  });

  it('survives a clock that is set back', () => {
    const history = new LoadHistory(limits);
    const one = operation('a');
    history.add(one, 10_000_000, stats(1));
    history.add(one, 1_000, stats(1));
    expect(history.series(one, 'throughput', 10_004_000)?.values.length).toBeGreaterThan(0);
  });
});
