import { fakeClock } from '@mnops/core/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { PerformanceMonitoringManager } from '../performance-monitoring-manager.js';
import { normal, randomOf } from '../testing/random.js';
import { spanOf } from '../testing/spans.js';

const startMs = 1_700_000_000_000;
const clock = fakeClock({ nowMs: startMs });
const analysis = {
  bucketMs: 1_000,
  settleMs: 100,
  anomalies: false,
  forecast: { stepMs: 1_500, seasonMs: 48_000, seasons: 8 },
} as const;
const apm = new PerformanceMonitoringManager({ service: 'test', clock, registerGlobals: false, analysis });
afterEach(() => apm.stop());

/** Requests in a second: a wave of 48 s around 20. */
function usualCalls(second: number): number {
  return 20 + 10 * Math.sin((2 * Math.PI * second) / 48);
}

async function run(seconds: number, from: number, callsAt: (second: number) => number): Promise<void> {
  for (let second = from; second < from + seconds; second += 1) {
    const calls = Math.round(callsAt(second));
    const spans = Array.from({ length: calls }, (_, index) =>
      spanOf({
        trace: `${second + 1}`,
        id: `${second * 100 + index + 1}`,
        name: 'GET /items',
        kind: 'server',
        startMs: clock.now() + (index * 900) / calls,
        durationMs: 10,
        error: index % 10 === 0,
      }),
    );
    await apm.ingest(spans);
    await clock.advance(1_000);
  }
}

describe('the forecast of an operation', () => {
  it('comes after two seasons, lies near the truth, and is not usable before', async () => {
    await apm.start();
    const query = { operation: 'GET /items', signal: 'throughput', horizonMs: 12_000 } as const;
    expect(apm.forecast(query)).toMatchObject({ usable: false, reason: 'unknown-operation', points: [] });
    const random = randomOf(4);
    const noisy = (second: number): number => usualCalls(second) + 1.5 * normal(random);
    await run(1, 0, noisy);
    const early = apm.forecast(query);
    expect(early).toMatchObject({ usable: false, reason: 'too-short', points: [], service: 'shop' });
    expect(early.notes).toEqual(['0 seconds of history are known, 96 seconds are wanted: two seasons.']);
    await run(59, 1, noisy);
    expect(apm.forecast(query)).toMatchObject({ usable: false, reason: 'too-short', points: [], stepMs: 2_000 });
    expect(apm.forecast(query).notes).toEqual([
      expect.stringMatching(/^(58|60) seconds of history are known, 96 seconds are wanted: two seasons\.$/),
    ]);
    await run(180, 60, noisy);
    const forecast = apm.forecast(query);
    expect(forecast).toMatchObject({ usable: true, method: 'holt-winters', service: 'shop', seasonMs: 48_000 });
    expect(forecast.relativeError).toBeLessThan(1);
    expect(forecast.points).toHaveLength(6);
    expect(Math.abs((forecast.points[0]?.at.getTime() ?? 0) - clock.now())).toBeLessThanOrEqual(4_000);
    for (const { at, value, low, high } of forecast.points) {
      const second = (at.getTime() - startMs) / 1_000;
      const truth = (usualCalls(second) + usualCalls(second + 1)) / 2;
      expect(Math.abs(value - truth)).toBeLessThan(3);
      expect(low).toBeLessThan(value);
      expect(high).toBeGreaterThan(value);
      expect(high - low).toBeLessThan(15);
    }
    expect(apm.forecast({ ...query, signal: 'duration' }).points[0]?.value).toBeCloseTo(10, 1);
    const errors = apm.forecast({ ...query, signal: 'errors' }).points[0];
    expect(errors?.value).toBeGreaterThan(0.05);
    expect(errors?.value).toBeLessThan(0.2);
    expect(forecast.notes).toEqual([]);
    const long = apm.forecast({ ...query, horizonMs: 1e9 });
    expect(long.points).toHaveLength(24);
    expect(long.notes).toEqual(['The forecast ends after 48 seconds, a season: 11.6 days were asked for.']);
    expect(apm.forecast({ ...query, service: 'other' }).reason).toBe('unknown-operation');
    expect(apm.forecast({ ...query, kind: 'client' }).reason).toBe('unknown-operation');
  });

  it('refuses a query that cannot be read', () => {
    for (const [query, field] of [
      [{ operation: 'a', signal: 'latency', horizonMs: 1 }, 'signal'],
      [{ operation: 'a', signal: 'metric', horizonMs: 1 }, 'signal'],
      [{ operation: 'a', signal: 'errors', horizonMs: 0 }, 'horizonMs'],
      [{ operation: 'a', signal: 'errors', horizonMs: 1, horizon: 3 }, 'horizon'],
      [{ signal: 'errors', horizonMs: 1 }, 'operation'],
    ] as const) {
      expect(() => apm.forecast(query as never), field).toThrow(
        expect.objectContaining({ details: { issues: [expect.objectContaining({ field })] } }),
      );
    }
    const config = { analysis: { forecast: { stepMs: 10, seasonMs: 15 } } };
    expect(() => new PerformanceMonitoringManager(config)).toThrow(/seasonMs/);
  });
});
