import type { Span } from '@mnops/core/spi';
import { describe, expect, it } from 'vitest';
import { randomOf } from '../../testing/random.js';
import { type ShopFault, simulatedShop } from '../../testing/simulated-shop.js';
import { spanOf } from '../../testing/spans.js';
import { rankRootCauses } from './rank.js';

/** Keeps failed traces, those that took long, and one in so many of the others, as sampling at the tail does. */
function tailSampled(spans: readonly Span[], oneIn: number, longMs: number, seed: number): Span[] {
  const random = randomOf(seed);
  const byTrace = new Map<string, Span[]>();
  for (const span of spans) byTrace.set(span.traceId, [...(byTrace.get(span.traceId) ?? []), span]);
  return [...byTrace.values()].flatMap((trace) => {
    const isOdd = trace.some(
      ({ status, durationNano }) => status.code === 'error' || Number(durationNano) / 1e6 > longMs,
    );
    const isDrawn = random() < 1 / oneIn;
    if (isOdd) return trace;
    if (!isDrawn) return [];
    return trace.map((span) => ({ ...span, attributes: { ...span.attributes, 'sampling.adjusted_count': oneIn } }));
  });
}

const seeds = [1, 2, 3, 4, 5];

describe('traces that were sampled at the tail', () => {
  const faults: readonly ShopFault[] = [
    { service: 'catalog', version: '2', addMs: 60 },
    { service: 'orders', failShare: 0.1 },
    { service: 'database', addMs: 20 },
  ];

  it('give the same first cause from a twentieth of the spans', () => {
    for (const seed of seeds) {
      for (const fault of faults) {
        const calm = simulatedShop({ seed, requests: 3_000 });
        const now = simulatedShop({ seed: seed + 500, requests: 2_000, canaryShare: 0.1, fault });
        const [normal, faulty] = [tailSampled(calm, 25, 40, seed), tailSampled(now, 25, 40, seed + 1)];
        expect(normal.length).toBeLessThan(0.06 * calm.length);
        const [whole] = rankRootCauses({ normal: calm, faulty: now }).candidates;
        const [part] = rankRootCauses({ normal, faulty }).candidates;
        expect(whole?.service).toBe(fault.service);
        expect(part?.service, `seed ${seed}, ${JSON.stringify(fault)}`).toBe(whole?.service);
      }
    }
  }, 120_000);

  it('are not taken for trouble where only how they were sampled has changed', () => {
    for (const seed of seeds) {
      const normal = simulatedShop({ seed, requests: 2_000, fault: { service: 'orders', failShare: 0.02 } });
      const same = simulatedShop({ seed: seed + 500, requests: 2_000, fault: { service: 'orders', failShare: 0.02 } });
      const faulty = tailSampled(same, 25, 14, seed);
      expect(rankRootCauses({ normal, faulty }).verdict, `seed ${seed}`).toBe('none');
      expect(rankRootCauses({ normal: faulty, faulty: normal }).verdict, `seed ${seed}`).toBe('none');
    }
  }, 60_000);

  it('say the shares of all requests, not of those that were kept', () => {
    const normal = tailSampled(simulatedShop({ seed: 1, requests: 8_000 }), 25, 40, 1);
    const broken = simulatedShop({ seed: 501, requests: 8_000, fault: { service: 'orders', failShare: 0.1 } });
    const [candidate] = rankRootCauses({ normal, faulty: tailSampled(broken, 25, 40, 2) }).candidates;
    expect(candidate?.evidence[0]?.signal).toBe('errors');
    expect(candidate?.evidence[0]?.after).toBeGreaterThan(0.07);
    expect(candidate?.evidence[0]?.after).toBeLessThan(0.14);
  }, 60_000);

  it('say the P90 of all requests, of the whole service and of one version', () => {
    const fault: ShopFault = { service: 'catalog', version: '2', addMs: 60 };
    const calm = simulatedShop({ seed: 3, requests: 8_000 });
    const broken = simulatedShop({ seed: 503, requests: 8_000, canaryShare: 0.5, fault });
    const [whole] = rankRootCauses({ normal: calm, faulty: broken }).candidates;
    const sampled = { normal: tailSampled(calm, 25, 14, 1), faulty: tailSampled(broken, 25, 80, 2) };
    const [part] = rankRootCauses(sampled).candidates;
    expect(part).toMatchObject({ service: 'catalog', version: '2', evidence: [{ signal: 'self-time' }] });
    for (const side of ['before', 'after'] as const) {
      const [known, said] = [whole?.evidence[0]?.[side] ?? 0, part?.evidence[0]?.[side] ?? 0];
      expect(Math.abs(said - known) / known, `${side} ${known} ${said}`).toBeLessThan(0.05);
    }
  }, 60_000);

  it('tell when the trouble began, not when sampling did', () => {
    const atMs = 1_700_000_000_000;
    const random = randomOf(9);
    const spans: Span[] = [];
    for (let i = 0; i < 8_000; i += 1) {
      const startMs = atMs + (i - 6_000) * 100;
      const isSlow = random() < (startMs < atMs ? 0.1 : 0.6);
      const durationMs = (isSlow ? 100 : 10) * (1 + 0.1 * random());
      spans.push(
        spanOf({ trace: (i + 1).toString(16), id: (i + 1).toString(16), kind: 'server', startMs, durationMs }),
      );
    }
    const sampledMs = atMs - 40_000;
    const startOf = (span: Span): number => Number(span.startTimeUnixNano) / 1e6;
    const kept = [
      ...spans.filter((span) => startOf(span) < sampledMs),
      ...tailSampled(
        spans.filter((span) => startOf(span) >= sampledMs),
        25,
        50,
        4,
      ),
    ];
    const ranking = rankRootCauses({
      normal: kept.filter((span) => startOf(span) < atMs),
      faulty: kept.filter((span) => startOf(span) >= atMs),
      at: new Date(atMs),
    });
    expect(ranking.verdict).toBe('found');
    expect(Math.abs((ranking.changedAt?.getTime() ?? 0) - atMs)).toBeLessThan(10_000);
  }, 60_000);
});
