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

  it('goes on where another process ended, and counts others in once', () => {
    const one = operation('a');
    const other = new LoadHistory(limits);
    for (let startMs = 0; startMs < 9_000; startMs += 1_000) other.add(one, startMs, stats(3, 1));
    const history = new LoadHistory(limits);
    history.add(one, 9_000, stats(4));
    history.restore(other.own(), 9_000);
    const at = (nowMs: number) => history.series(one, 'throughput', nowMs);
    expect(at(10_000)).toEqual({ stepMs: 2_000, endMs: 10_000, values: [3, 3, 3, 3, 3.5] });
    for (let times = 0; times < 3; times += 1) history.include('b', other.own(), 10_000);
    // The other one's newest step may not be complete.
    expect(at(10_000)).toEqual({ stepMs: 2_000, endMs: 8_000, values: [6, 6, 6, 6] });
    expect(at(16_000)?.values.slice(0, 5)).toEqual([6, 6, 6, 6, 5]);
    expect(history.series(one, 'errors', 8_000)?.values).toEqual(new Array(4).fill(1 / 3));
    history.exclude('b');
    expect(at(16_000)?.values.slice(0, 5)).toEqual([3, 3, 3, 3, 3.5]);
  });

  it('puts shorter steps together, and leaves out those that do not fit', () => {
    const one = operation('a');
    const short = new LoadHistory(limits);
    for (let startMs = 0; startMs < 12_000; startMs += 1_000) short.add(one, startMs, stats(3));
    const long = new LoadHistory({ ...limits, bucketMs: 2_000, stepMs: 6_000 });
    long.restore(short.own(), 12_000);
    expect(long.series(one, 'throughput', 12_000)?.values).toEqual([3, 3]);
    short.exclude('nobody');
    const odd = new LoadHistory({ ...limits, stepMs: 3_000 });
    odd.restore(short.own(), 12_000);
    expect(odd.series(one, 'throughput', 12_000)).toBeUndefined();
    expect([...odd.operations()]).toEqual([]);
  });

  it('holds others within the same bytes, and gives up what is farthest from now', () => {
    const history = new LoadHistory({ ...limits, maxBytes: 50_000 });
    const now = 1_000_000_000;
    const ahead = new LoadHistory(limits);
    for (let i = 0; i < 20; i += 1) ahead.add(operation(`ahead ${i}`), 9_000_000_000, stats(1));
    const all = Array.from({ length: 5 }, (_, index) => operation(`now ${index}`));
    history.include('b', ahead.own(), now);
    expect(history.bytes).toBeLessThanOrEqual(50_000);
    for (const each of all) history.add(each, now, stats(1));
    expect(history.bytes).toBeLessThanOrEqual(50_000);
    for (const each of all) expect(history.series(each, 'throughput', now + 4_000)?.values).toHaveLength(2);
    // What another process knows of long ago does not push out what this one knows of today, however often it comes.
    const old = new LoadHistory(limits);
    for (let i = 0; i < 20; i += 1) old.add(operation(`old ${i}`), now - 4_000_000, stats(1));
    for (const other of ['b', 'c', 'b']) history.include(other, old.own(), now);
    for (const each of all) expect(history.series(each, 'throughput', now + 4_000)?.values).toHaveLength(2);
    expect(history.bytes).toBeLessThanOrEqual(50_000);
    for (const other of ['b', 'c']) history.exclude(other);
    expect(history.bytes).toBeLessThan(5 * 5_100);
  });
});
