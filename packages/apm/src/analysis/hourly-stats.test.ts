import { describe, expect, it } from 'vitest';
import { AnomalyTracker } from './anomaly-tracker.js';
import { hourOfWeek } from './hour-of-week.js';
import type { Observation } from './operation.js';
import { OperationStats } from './operation-stats.js';
import { OperationTable, type OperationTableOptions } from './operation-table.js';

const hourMs = 3_600_000;
const monday = Date.UTC(2026, 0, 5);
const defaults: OperationTableOptions = {
  bucketMs: 10_000,
  settleMs: 0,
  maxOperations: 100,
  halfLifeMs: 1e15,
  minSamples: 30,
  maxBytes: 33_554_432,
  judge: (operation, index, stats) => operation.learn(index, stats),
};
const facts = (endMs: number, durationMs: number, operation = 'GET /'): Observation => ({
  traceId: '1',
  parentSpanId: undefined,
  origin: { service: 'shop' },
  operation,
  kind: 'server',
  endMs,
  durationMs,
  error: false,
});
const at = (day: number, hour: number): number => monday + (day * 24 + hour) * hourMs;

/** Forty spans in one hour, one every ten seconds. */
function hourOf(table: OperationTable, fromMs: number, durationMs: number, count = 40, operation = 'GET /'): void {
  for (let i = 0; i < count; i += 1) {
    table.observe(facts(fromMs + i * 10_000 + 5_000, durationMs, operation));
    table.roll(fromMs + (i + 1) * 10_000, i * 10_000);
  }
}
const baselineAt = (table: OperationTable, atMs: number) => table.baselines({}, atMs)[0];

describe('baselines by hour', () => {
  it('counts the hours of the week from Monday, UTC', () => {
    expect([at(0, 0), at(0, 23), at(6, 23), at(7, 0), at(-7, 1)].map(hourOfWeek)).toEqual([0, 23, 167, 0, 1]);
    expect(hourOfWeek(Date.UTC(1969, 11, 29))).toBe(0);
  });

  it('answers for the hour of the week, else of the day, else for all', () => {
    const table = new OperationTable(defaults);
    hourOf(table, at(0, 9), 10);
    hourOf(table, at(0, 12), 100);
    hourOf(table, at(1, 9), 20, 25);
    hourOf(table, at(2, 9), 20, 5);
    const monday9 = baselineAt(table, at(7, 9));
    expect(monday9).toMatchObject({ bucket: 'hour-of-week', count: 40 });
    expect(monday9?.durationMs.p50).toBeCloseTo(10, 0);
    expect(monday9?.window).toEqual({ from: new Date(at(0, 9) + 5_000), to: new Date(at(0, 9) + 400_000) });
    expect(monday9?.callsPerSecond).toBeCloseTo(0.1, 2);
    expect(baselineAt(table, at(14, 12))?.durationMs.p50).toBeCloseTo(100, 0);
    // Too few on Tuesday alone: nine o'clock of all days.
    expect(baselineAt(table, at(1, 9))).toMatchObject({ bucket: 'hour-of-day', count: 70 });
    expect(baselineAt(table, at(1, 15))).toMatchObject({ bucket: 'all', count: 110 });
  });

  it('puts spans that come late into the hour in which they ended', () => {
    const table = new OperationTable(defaults);
    hourOf(table, at(10, 10), 10, 2);
    for (let i = 0; i < 40; i += 1) for (const day of [0, 1, 2, 3, 4, 5]) table.observe(facts(at(day, 3) + i, 50));
    expect(baselineAt(table, at(7, 3))).toMatchObject({ bucket: 'hour-of-week', count: 40 });
    table.roll(at(10, 11), 1e6);
    expect(baselineAt(table, at(7, 3))).toMatchObject({ bucket: 'hour-of-week', count: 40 });
    expect(baselineAt(table, at(10, 20))).toMatchObject({ bucket: 'all', count: 242 });
  });

  it('forgets by half in a half-life, also hours that nobody looks at', () => {
    const table = new OperationTable({ ...defaults, halfLifeMs: 7 * 24 * hourMs });
    hourOf(table, at(0, 9), 10, 200);
    table.roll(at(7, 9), 1e9);
    expect(baselineAt(table, at(7, 9))).toMatchObject({ bucket: 'hour-of-week' });
    expect(Math.abs((baselineAt(table, at(7, 9))?.count ?? 0) - 100)).toBeLessThan(3);
  });

  it('folds the hours of the least used operations when there are too many bytes, and loses no span by it', () => {
    const table = new OperationTable({ ...defaults, maxBytes: 90_000 });
    for (let hour = 0; hour < 24 * 3; hour += 1) {
      hourOf(table, at(0, hour), 10, 31, 'often');
      if (hour % 2 === 0) hourOf(table, at(0, hour) + 1_800_000, 10, 31, 'seldom');
    }
    expect(table.bytes).toBeLessThanOrEqual(90_000);
    const [often, seldom] = table.baselines({}, at(2, 0));
    expect([often?.count, seldom?.count].every((count) => count !== undefined && count >= 31)).toBe(true);
    const levels = Object.fromEntries(table.operations.map(({ name, hours }) => [name, hours.level]));
    expect(levels['seldom']).not.toBe('hour-of-week');
    const totals = table.operations.map(({ baseline }) => baseline.count);
    expect(totals).toEqual([31 * 72, 31 * 36]);
  });

  it('excuses what this hour always looks like, and nothing else', () => {
    const opened = (known: boolean): number => {
      let count = 0;
      const tracker = new AnomalyTracker({
        bucketMs: 10_000,
        detector: { detector: 'adaptive', sigma: 2 },
        signals: ['duration', 'errors', 'throughput'],
        threshold: 0.5,
        minSamples: 30,
        minDurationMs: 30_000,
        cooldownMs: 600_000,
        adoptAfterMs: hourMs,
        minIncreaseMs: 5,
        minIncreaseRatio: 1.5,
        minErrorShareIncrease: 0.005,
        opened: () => {
          count += 1;
        },
        closed: () => undefined,
      });
      const table = new OperationTable({ ...defaults, judge: (...bucket) => tracker.judge(...bucket) });
      // The night of the two weeks before, in which the job made everything five times as slow.
      const job = new OperationStats();
      for (let i = 0; i < 30; i += 1) job.add(50, false, '1');
      const start = at(14, 1) + 1_800_000;
      for (let second = 0; second < 3_600; second += 1) {
        const atMs = start + second * 1_000;
        table.observe(facts(atMs, atMs >= at(14, 2) ? 50 : 10));
        if (second === 10 && known) {
          for (const week of [0, 7])
            for (let i = 0; i < 20; i += 1) table.operations[0]?.learn(at(week, 2) / 10_000 + i, job);
        }
        table.roll(atMs, second * 1_000);
      }
      return count;
    };
    expect(opened(false)).toBeGreaterThan(0);
    expect(opened(true)).toBe(0);
  });
});
